//! Checks that hold for whole drawings of any kind and any input.

use crate as charts;
use crate::{Svg, timeline};

mod axes;
mod colours;
mod random;
mod samples;
mod xml;

use xml::{Element, elements};

/// Elements that a drawing may have.
const ELEMENTS: [&str; 12] = [
    "a", "circle", "defs", "desc", "g", "line", "path", "pattern", "rect", "svg", "text", "title",
];

/// Returns the reasons why a drawing must not be shown; an empty list where there are none.
fn faults(svg: &Svg) -> Vec<String> {
    let text = svg.to_string();
    let elements = match elements(&text) {
        Ok(elements) => elements,
        Err(fault) => return vec![fault],
    };
    let mut faults = xml::outside(&elements);
    let mut ids = Vec::new();
    for element in &elements {
        if !ELEMENTS.contains(&element.name.as_str()) {
            faults.push(format!("<{}>", element.name));
        }
        for (name, value) in &element.attributes {
            if name == "style" || name.starts_with("on") || name.contains(':') {
                faults.push(format!("{name}={value}"));
            }
            if name == "id" {
                ids.push(value.clone());
            }
        }
    }
    faults.extend(heading_faults(&elements, &ids));
    ids.sort_unstable();
    faults.extend(
        ids.windows(2)
            .filter(|pair| pair[0] == pair[1])
            .map(|pair| format!("twice: {}", pair[0])),
    );
    faults
}

/// Returns what is wrong with the titles for screen readers.
fn heading_faults(elements: &[Element], ids: &[String]) -> Vec<String> {
    let root = &elements[0];
    let labels = root.attribute("aria-labelledby").unwrap_or_default();
    let mut faults: Vec<String> = labels
        .split(' ')
        .filter(|id| !ids.contains(&(*id).to_owned()))
        .map(|id| format!("no {id:?}"))
        .collect();
    let names: Vec<&str> = elements[1..3].iter().map(|element| element.name.as_str()).collect();
    if names != ["title", "desc"] || labels.split(' ').count() != 2 {
        faults.push(format!("begins with {names:?}, labelled by {labels}"));
    }
    let has_links = elements.iter().any(|element| element.name == "a");
    if root.attribute("role") != Some(if has_links { "group" } else { "img" }) {
        faults.push(format!("role {:?} with links: {has_links}", root.attribute("role")));
    }
    faults
}

#[test]
fn every_sample_is_allowed_by_a_strict_content_policy() {
    for (title, svg) in samples::all() {
        assert_eq!(faults(&svg), Vec::<String>::new(), "{title}");
    }
}

#[test]
fn every_class_has_a_rule_and_every_rule_is_used() {
    let drawn: Vec<String> = samples::all().iter().flat_map(|(_, svg)| classes(svg)).collect();
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '-';
    let rules = charts::STYLE
        .split('.')
        .skip(1)
        .map(|rest| rest.split(|c| !is_name(c)).next().unwrap_or_default());
    let rules: Vec<&str> = rules.filter(|class| class.starts_with("jm-")).collect();
    let without: Vec<_> = drawn.iter().filter(|class| !rules.contains(&class.as_str())).collect();
    assert!(without.is_empty(), "no rule for {without:?}");
    // Beyond eight series the dashes differ; no sample has so many.
    let unused = rules
        .iter()
        .filter(|class| !class.starts_with("jm-s") && !class.starts_with("jm-r"));
    let unused: Vec<_> = unused
        .filter(|class| !drawn.iter().any(|drawn| drawn == *class))
        .collect();
    assert!(unused.is_empty(), "no drawing for {unused:?}");
}

/// Returns the classes of a drawing that need a rule in the style.
fn classes(svg: &Svg) -> Vec<String> {
    let elements = elements(&svg.to_string()).expect("well-formed");
    let classes = elements
        .iter()
        .filter_map(|element| element.attribute("class"))
        .flat_map(|class| class.split(' '));
    // Classes that are only for scripts or structure and have no rule.
    let unruled = "label start panel strip x-grid x-ticks band-names line-names bars distribution gantt roofline scatter along forest";
    let unruled = |class: &str| unruled.split(' ').any(|name| class == format!("jm-{name}"));
    classes.filter(|class| !unruled(class)).map(str::to_owned).collect()
}

#[test]
fn no_texts_of_a_sample_overlap_even_in_the_large_type_of_a_phone() {
    for (title, svg) in samples::all()
        .into_iter()
        .filter(|(title, _)| *title != "The last five minutes")
    {
        let texts = xml::texts(&elements(&svg.to_string()).expect("well-formed"));
        assert!(!texts.is_empty(), "{title}");
        for (index, (room, text)) in texts.iter().enumerate() {
            for (other, another) in &texts[index + 1..] {
                let meet = room.0 < other.1 && other.0 < room.1 && room.2 < other.3 && other.2 < room.3;
                assert!(!meet, "{title}: {text:?} at {room:?} meets {another:?} at {other:?}");
            }
        }
    }
}

#[test]
fn two_drawings_on_a_page_share_no_id() {
    let mut ids: Vec<String> = samples::all()
        .iter()
        .flat_map(|(_, svg)| elements(&svg.to_string()).expect("well-formed"))
        .filter_map(|element| element.attribute("id").map(str::to_owned))
        .collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn hostile_labels_remain_text() {
    let hostile = "\"'><script>alert(1)</script>&amp;<svg onload='x'>\u{0}\u{1}]]>";
    let mut drawn = samples::power();
    drawn.title = hostile.to_owned();
    drawn.description = hostile.to_owned();
    drawn.bands.iter_mut().for_each(|band| band.label = hostile.to_owned());
    drawn.marks.iter_mut().for_each(|mark| mark.label = hostile.to_owned());
    for panel in &mut drawn.panels {
        panel.label = hostile.to_owned();
        panel.unit = hostile.to_owned();
        panel.lines.iter_mut().for_each(|line| line.name = hostile.to_owned());
    }
    let svg = timeline(&drawn);
    assert_eq!(faults(&svg), Vec::<String>::new());
    let title = &elements(&svg.to_string()).expect("well-formed")[1];
    assert_eq!(title.text, hostile.replace(['\u{0}', '\u{1}'], "\u{fffd}"));
}

#[test]
fn a_point_without_a_name_has_no_tooltip() {
    let drawn = |label: &str| {
        let axis = charts::AxisLabel {
            label: "a".to_owned(),
            unit: String::new(),
        };
        let point = charts::Point {
            label: label.to_owned(),
            href: None,
            x: 1.0,
            y: 1.0,
            x_interval: None,
            y_interval: None,
            on_front: false,
        };
        let svg = charts::scatter(&charts::Scatter {
            title: "t".into(),
            description: "d".into(),
            x: axis.clone(),
            y: axis,
            points: vec![point],
        });
        assert_eq!(faults(&svg), Vec::<String>::new());
        svg.to_string().matches("<title>").count()
    };
    assert_eq!((drawn(""), drawn("b")), (0, 1));
}

#[test]
fn a_link_that_runs_a_script_is_not_drawn() {
    let point = |href: &str| charts::Point {
        label: "a".to_owned(),
        href: Some(href.to_owned()),
        x: 1.0,
        y: 1.0,
        x_interval: None,
        y_interval: None,
        on_front: false,
    };
    let axis = charts::AxisLabel {
        label: "a".to_owned(),
        unit: String::new(),
    };
    for (href, linked) in [
        ("../experiments/1?a=b:c", true),
        ("https://example.org/", true),
        ("javascript:alert(1)", false),
        (" java\tscript:alert(1)", false),
        ("data:text/html,x", false),
    ] {
        let (x, y, points) = (axis.clone(), axis.clone(), vec![point(href)]);
        let svg = charts::scatter(&charts::Scatter {
            title: "t".into(),
            description: "d".into(),
            x,
            y,
            points,
        });
        let links = elements(&svg.to_string())
            .expect("well-formed")
            .iter()
            .filter(|e| e.name == "a")
            .count();
        assert_eq!(links, usize::from(linked), "{href}");
        assert_eq!(faults(&svg), Vec::<String>::new(), "{href}");
    }
}

#[test]
fn a_drawing_without_values_states_that_there_is_nothing_to_draw() {
    let mut drawn = samples::power();
    drawn.bands.clear();
    drawn.marks.clear();
    drawn
        .panels
        .iter_mut()
        .for_each(|panel| panel.lines.iter_mut().for_each(|line| line.points.clear()));
    let forest = charts::ForestRow {
        label: "a".into(),
        ratio: 0.0,
        interval: None,
        verdict: String::new(),
    };
    let forest = charts::Forest {
        title: "t".into(),
        description: "d".into(),
        rows: vec![forest],
    };
    let point = charts::RooflinePoint {
        label: "a".into(),
        flops_per_byte: -1.0,
        flops_per_sec: 0.0,
    };
    let roofline = charts::Roofline {
        title: "t".into(),
        description: "d".into(),
        peak_flops_per_sec: f64::NAN,
        bandwidth_bytes_per_sec: 0.0,
        points: vec![point],
    };
    for svg in [timeline(&drawn), charts::forest(&forest), charts::roofline(&roofline)] {
        assert_eq!(faults(&svg), Vec::<String>::new());
        assert!(svg.to_string().contains("nothing to draw"), "{svg}");
    }
}

#[test]
fn a_roofline_states_how_many_points_are_left_out() {
    let point = |flops_per_byte| charts::RooflinePoint {
        label: "a".into(),
        flops_per_byte,
        flops_per_sec: 1e12,
    };
    let roofline = charts::Roofline {
        title: "t".into(),
        description: "d".into(),
        peak_flops_per_sec: 1e15,
        bandwidth_bytes_per_sec: 1e12,
        points: vec![point(1.0), point(0.0), point(-1.0)],
    };
    let svg = charts::roofline(&roofline).to_string();
    assert!(svg.contains("2 without a positive value left out"), "{svg}");
}

#[test]
fn a_gantt_of_many_rows_states_how_many_are_left_out() {
    let (_, svg) = samples::all().swap_remove(5);
    assert!(svg.to_string().contains("the first 400 of 500, 100 left out"));
}

#[test]
fn the_steps_of_a_front_bound_the_points_that_it_beats() {
    let point = |(x, y, on_front): (f64, f64, bool)| charts::Point {
        label: "a".into(),
        href: None,
        x,
        y,
        x_interval: None,
        y_interval: None,
        on_front,
    };
    // A front and a point that it beats, and the direction of its first step.
    let cases = [
        ([(1.0, 1.0, true), (2.0, 2.0, true), (1.0, 2.0, false)], "V"),
        ([(1.0, 1.0, true), (2.0, 2.0, true), (2.0, 1.0, false)], "H"),
        ([(1.0, 2.0, true), (2.0, 1.0, true), (2.0, 2.0, false)], "H"),
        ([(1.0, 2.0, true), (2.0, 1.0, true), (1.0, 1.0, false)], "V"),
    ];
    for (points, first) in cases {
        let axis = charts::AxisLabel {
            label: "a".to_owned(),
            unit: String::new(),
        };
        let (x, y, drawn) = (axis.clone(), axis, points.map(point).into());
        let svg = charts::scatter(&charts::Scatter {
            title: "t".into(),
            description: "d".into(),
            x,
            y,
            points: drawn,
        });
        let elements = elements(&svg.to_string()).expect("well-formed");
        let front = elements
            .iter()
            .find(|element| element.attribute("class") == Some("jm-front-line"));
        let path = front.and_then(|front| front.attribute("d")).expect("a front");
        let step = path.trim_start_matches(|c: char| c == 'M' || c == ' ' || c == '.' || c.is_ascii_digit());
        assert!(step.starts_with(first), "{points:?}: {path}");
    }
}
