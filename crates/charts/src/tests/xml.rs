//! A small strict XML parser for the tests, and the positions that elements have.

use crate::text;

/// One element with the properties that the checks need.
#[derive(Debug, Default)]
pub struct Element {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    /// The text directly within it.
    pub text: String,
    /// Index of the parent element.
    pub parent: Option<usize>,
}

impl Element {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns an attribute as a number with at most one decimal and no exponent.
    fn number(&self, name: &str) -> f64 {
        number(self.attribute(name).unwrap_or("0")).unwrap_or(f64::NAN)
    }
}

/// Returns the elements in the order of their start tags, or an error where the text is not XML.
pub fn elements(text: &str) -> Result<Vec<Element>, String> {
    let mut elements: Vec<Element> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let start = rest.find('<').ok_or("text after the last element")?;
        let content = unescape(&rest[..start])?;
        match open.last() {
            Some(&index) => elements[index].text += &content,
            None if content.is_empty() => {}
            None => return Err(format!("{content:?} outside")),
        }
        let end = rest.find('>').ok_or("a tag without an end")?;
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            let index = open.pop().ok_or("an end without a start")?;
            if elements[index].name != name {
                return Err(format!("<{}> ends as {name}", elements[index].name));
            }
            continue;
        }
        if open.is_empty() && !elements.is_empty() {
            return Err("two roots".to_owned());
        }
        let element = start_tag(tag.trim_end_matches('/'), open.last().copied())?;
        elements.push(element);
        if !tag.ends_with('/') {
            open.push(elements.len() - 1);
        }
    }
    if open.is_empty() {
        Ok(elements)
    } else {
        Err("not ended".to_owned())
    }
}

/// Parses a start tag.
fn start_tag(tag: &str, parent: Option<usize>) -> Result<Element, String> {
    let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !is_name(name) {
        return Err(format!("an element called {name:?}"));
    }
    let mut element = Element {
        name: name.to_owned(),
        parent,
        ..Element::default()
    };
    while !rest.is_empty() {
        let (name, after) = rest
            .split_once("=\"")
            .ok_or_else(|| format!("{rest:?} is no attribute"))?;
        let (value, after) = after.split_once('"').ok_or_else(|| format!("{name} has no end"))?;
        if !is_name(name) || element.attribute(name).is_some() {
            return Err(format!("an attribute called {name:?}"));
        }
        element.attributes.push((name.to_owned(), unescape(value)?));
        rest = after.strip_prefix(' ').unwrap_or(after);
    }
    Ok(element)
}

/// Returns the text with its entities replaced.
fn unescape(raw: &str) -> Result<String, String> {
    let forbidden = |c: char| c < ' ' && !"\t\n\r".contains(c) || c == '\u{fffe}' || c == '\u{ffff}' || c == '<';
    if raw.contains(forbidden) || raw.contains("]]>") {
        return Err(format!("{raw:?} in a text"));
    }
    let mut parts = raw.split('&');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, after) = part.split_once(';').ok_or_else(|| format!("&{part} is no entity"))?;
        let known = [("amp", "&"), ("lt", "<"), ("gt", ">"), ("quot", "\""), ("#39", "'")];
        let found = known
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| format!("&{name};"))?;
        text = text + found.1 + after;
    }
    Ok(text)
}

/// Parses a number with at most one decimal.
fn number(text: &str) -> Option<f64> {
    let plain = text.chars().all(|c| c.is_ascii_digit() || c == '-' || c == '.');
    let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    (plain && decimals <= 1).then(|| text.parse().ok()).flatten()
}

/// The coordinate system of an `<svg>` element, and the size of one unit outside it.
#[derive(Clone, Copy)]
struct Plane {
    width: f64,
    height: f64,
}

/// Returns the elements that lie outside the visible part of their plane, or whose position is not a number.
pub fn outside(elements: &[Element]) -> Vec<String> {
    let mut faults = Vec::new();
    for element in elements {
        let plane = plane_of(elements, element);
        for (x, y) in places(element) {
            // Half a stroke and half a mark may lie outside.
            let (room_x, room_y) = (plane.width.max(100.0) * 0.02, plane.height.max(100.0) * 0.02 + 4.0);
            let inside =
                (-room_x..=plane.width + room_x).contains(&x) && (-room_y..=plane.height + room_y).contains(&y);
            if !inside {
                let Plane { width, height } = plane;
                faults.push(format!("({x}, {y}) is outside {width} × {height}: {element:?}"));
            }
        }
    }
    faults
}

/// Returns the plane of the nearest enclosing `<svg>` of an element.
fn plane_of(elements: &[Element], element: &Element) -> Plane {
    let mut around = element.parent;
    while let Some(index) = around {
        let view = elements[index]
            .attribute("viewBox")
            .filter(|_| elements[index].name == "svg");
        if let Some(view) = view {
            let numbers: Vec<f64> = view.split(' ').filter_map(number).collect();
            assert_eq!(numbers.len(), 4, "viewBox {view}");
            return Plane {
                width: numbers[2],
                height: numbers[3],
            };
        }
        around = elements[index].parent;
    }
    Plane {
        width: f64::INFINITY,
        height: f64::INFINITY,
    }
}

/// Returns the positions of an element; a bad number gives a position outside any plane.
fn places(element: &Element) -> Vec<(f64, f64)> {
    let n = |name| element.number(name);
    match element.name.as_str() {
        "line" => vec![(n("x1"), n("y1")), (n("x2"), n("y2"))],
        "circle" => vec![(n("cx"), n("cy"))],
        "text" => vec![(n("x"), n("y"))],
        "rect" | "svg" => {
            let far = (n("x") + n("width"), n("y") + n("height"));
            let size = if n("width") >= 0.0 && n("height") >= 0.0 {
                (0.0, 0.0)
            } else {
                (f64::NAN, f64::NAN)
            };
            if element.attribute("xmlns").is_some() {
                vec![]
            } else {
                vec![(n("x"), n("y")), far, size]
            }
        }
        "path" => path(element.attribute("d").unwrap_or_default()),
        _ => vec![],
    }
}

/// Returns the points of a path.
fn path(d: &str) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    let mut at = (0.0, 0.0);
    for (start, _) in d.match_indices(|c: char| c.is_ascii_alphabetic()) {
        let command = d.as_bytes()[start];
        let rest = &d[start + 1..];
        let end = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let apart = rest[..end].replace('-', " -");
        let numbers: Vec<f64> = apart
            .split_whitespace()
            .map(|text| number(text).unwrap_or(f64::NAN))
            .collect();
        let pair = if matches!(command, b'M' | b'L' | b'l') { 2 } else { 1 };
        assert!(numbers.len().is_multiple_of(pair), "{d}");
        for step in numbers.chunks(pair) {
            at = match command {
                b'M' | b'L' => (step[0], step[1]),
                b'l' => (at.0 + step[0], at.1 + step[1]),
                b'H' => (step[0], at.1),
                b'h' => (at.0 + step[0], at.1),
                b'V' => (at.0, step[0]),
                b'v' => (at.0, at.1 + step[0]),
                _ => (f64::NAN, f64::NAN),
            };
            points.push(at);
        }
    }
    points
}

/// The left, right, top and bottom edge of a text.
type Room = (f64, f64, f64, f64);

/// Returns the estimated positions of all texts that are not rotated.
pub fn texts(elements: &[Element]) -> Vec<(Room, String)> {
    let texts = elements
        .iter()
        .filter(|element| element.name == "text" && element.attribute("transform").is_none());
    let rooms = texts.map(|element| {
        let (x, y, width) = (element.number("x"), element.number("y"), text::width(&element.text));
        let class = element.attribute("class").unwrap_or_default();
        let left = match class {
            class if class.contains("jm-end") => x - width,
            class if class.contains("jm-middle") => x - width / 2.0,
            _ => x,
        };
        ((left, left + width, y - text::SIZE * 0.75, y), element.text.clone())
    });
    rooms.collect()
}
