//! SVG text: elements, attributes, escaping, and titles for screen readers. What is drawn is left to the charts.

use std::fmt::{self, Display, Write};

/// Placeholder for the drawing's id, which is only known when the body is complete; escaped text never contains it.
const OWN_ID: char = '\u{1}';

/// One drawing as the text of an `<svg>` element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Svg(String);

impl Display for Svg {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Title and size of a drawing.
pub(crate) struct Head<'a> {
    /// Kind of the chart, by which scripts find it.
    pub chart: &'static str,
    pub title: &'a str,
    pub description: &'a str,
    pub width: f64,
    pub height: f64,
}

/// The elements of a drawing so far.
#[derive(Default)]
pub(crate) struct Canvas {
    body: String,
    data: String,
    interactive: bool,
}

impl Canvas {
    /// Begins an element, which is written when the tag is ended.
    pub fn tag(&mut self, name: &'static str) -> Tag<'_> {
        self.body.push('<');
        self.body.push_str(name);
        Tag { canvas: self, name }
    }

    /// Writes the end tag of an open element.
    pub fn close(&mut self, name: &'static str) {
        let _ = write!(self.body, "</{name}>");
    }

    /// Writes a straight line.
    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.tag("line")
            .set("class", class)
            .at("x1", from.0)
            .at("y1", from.1)
            .at("x2", to.0)
            .at("y2", to.1)
            .end();
    }

    /// Writes a text that begins, is centred or ends at a point, depending on its class.
    pub fn text(&mut self, class: &str, at: (f64, f64), text: &str) {
        self.tag("text")
            .set("class", class)
            .at("x", at.0)
            .at("y", at.1)
            .text(text);
    }

    /// Adds a `data-*` attribute to the `<svg>` element.
    pub fn data(&mut self, name: &str, value: impl Display) {
        let _ = write!(self.data, " data-{name}=\"{}\"", escape(&value.to_string()));
    }

    /// Notes that the drawing has links, which the role `img` does not allow.
    pub fn has_links(&mut self) {
        self.interactive = true;
    }

    /// Defines the drawing's hatching and returns the value of a `fill` attribute that uses it.
    pub fn hatching(&mut self) -> String {
        let id = format!("jm-{OWN_ID}-h");
        let _ = write!(
            self.body,
            "<defs><pattern id=\"{id}\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" \
             patternTransform=\"rotate(45)\"><line class=\"jm-hatch\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"6\"/></pattern></defs>"
        );
        format!("url(#{id})")
    }

    /// Returns the whole drawing. Its ids are a digest of its content, so that they differ from those of other
    /// drawings.
    pub fn finish(self, head: &Head<'_>) -> Svg {
        let (title, description) = (escape(head.title), escape(head.description));
        let id = format!(
            "{:016x}",
            digest(&[head.chart, &title, &description, &self.data, &self.body])
        );
        let role = if self.interactive { "group" } else { "img" };
        let mut whole = String::with_capacity(self.body.len() + 512);
        let _ = write!(
            whole,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"jm-chart jm-{chart}\" viewBox=\"0 0 {width} {height}\" \
             role=\"{role}\" aria-labelledby=\"jm-{id}-t jm-{id}-d\" data-chart=\"{chart}\"{data}>\
             <title id=\"jm-{id}-t\">{title}</title><desc id=\"jm-{id}-d\">{description}</desc>",
            chart = head.chart,
            width = Coordinate(head.width),
            height = Coordinate(head.height),
            data = self.data,
        );
        for (index, part) in self.body.split(OWN_ID).enumerate() {
            if index > 0 {
                whole.push_str(&id);
            }
            whole.push_str(part);
        }
        whole.push_str("</svg>");
        Svg(whole)
    }
}

/// An element whose attributes are being written.
pub(crate) struct Tag<'a> {
    canvas: &'a mut Canvas,
    name: &'static str,
}

impl Tag<'_> {
    /// Writes an attribute.
    pub fn set(self, name: &str, value: &str) -> Self {
        // The placeholder of the id is the only character that escaping would remove.
        let _ = write!(self.canvas.body, " {name}=\"");
        for (index, part) in value.split(OWN_ID).enumerate() {
            if index > 0 {
                self.canvas.body.push(OWN_ID);
            }
            self.canvas.body.push_str(&escape(part));
        }
        self.canvas.body.push('"');
        self
    }

    /// Writes an attribute that is a length or a position.
    pub fn at(self, name: &str, value: f64) -> Self {
        let _ = write!(self.canvas.body, " {name}=\"{}\"", Coordinate(value));
        self
    }

    /// Writes an attribute that is a number for scripts.
    pub fn figure(self, name: &str, value: f64) -> Self {
        let _ = write!(self.canvas.body, " {name}=\"{value}\"");
        self
    }

    /// Ends an element that has no content.
    pub fn end(self) {
        self.canvas.body.push_str("/>");
    }

    /// Ends the start tag of an element whose content follows.
    pub fn open(self) {
        self.canvas.body.push('>');
    }

    /// Ends the start tag of an element that has a tooltip and more content.
    pub fn open_titled(self, title: &str) {
        let _ = write!(self.canvas.body, "><title>{}</title>", escape(title));
    }

    /// Ends an element whose content is a text.
    pub fn text(self, text: &str) {
        let _ = write!(self.canvas.body, ">{}</{}>", escape(text), self.name);
    }

    /// Ends an element that has a tooltip and nothing else.
    pub fn titled(self, title: &str) {
        let _ = write!(self.canvas.body, "><title>{}</title></{}>", escape(title), self.name);
    }

    /// Ends an element that has a tooltip and a text.
    pub fn titled_text(self, title: &str, text: &str) {
        let _ = write!(
            self.canvas.body,
            "><title>{}</title>{}</{}>",
            escape(title),
            escape(text),
            self.name
        );
    }
}

/// A number of user units, written with at most one decimal.
pub(crate) struct Coordinate(pub f64);

impl Display for Coordinate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0 * 10.0).round();
        if !tenths.is_finite() {
            return formatter.write_str("0");
        }
        // Adding zero makes a negative zero positive.
        if tenths % 10.0 == 0.0 {
            write!(formatter, "{}", tenths / 10.0 + 0.0)
        } else {
            write!(formatter, "{:.1}", tenths / 10.0)
        }
    }
}

/// Escapes a text for XML, between tags and in quotes. Characters that XML forbids become U+FFFD.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Returns the FNV-1a digest of the parts.
fn digest(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
