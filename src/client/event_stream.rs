//! Parser of server-sent events.

/// One event of a stream (`text/event-stream`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub name: String,
    pub data: String,
    /// Last event ID at that time; empty before the first.
    pub id: String,
}

/// Incremental parser of an event stream, by the HTML standard.
#[derive(Debug, Default)]
pub struct EventReader {
    /// Bytes of the incomplete line.
    line: Vec<u8>,
    /// Whether the last byte was a carriage return, so that a line feed belongs to the same line end.
    after_return: bool,
    begun: bool,
    name: String,
    data: Option<String>,
    id: String,
}

impl EventReader {
    /// Parses the next bytes of the stream; returns the events that they complete.
    pub fn read(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for &byte in bytes {
            let pair = byte == b'\n' && self.after_return;
            self.after_return = byte == b'\r';
            match byte {
                b'\n' if pair => {}
                b'\n' | b'\r' => {
                    let line = std::mem::take(&mut self.line);
                    events.extend(self.end_line(&String::from_utf8_lossy(&line)));
                }
                _ => self.line.push(byte),
            }
        }
        events
    }

    fn end_line(&mut self, line: &str) -> Option<Event> {
        let line = if self.begun {
            line
        } else {
            line.trim_start_matches('\u{feff}')
        };
        self.begun = true;
        if line.is_empty() {
            let name = std::mem::take(&mut self.name);
            return self.data.take().map(|data| Event {
                name,
                data,
                id: self.id.clone(),
            });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "id" if !value.contains('\0') => value.clone_into(&mut self.id),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            // A comment, `retry`, or an unknown field.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use joulemark_testkit::edits::edited;
    use proptest::prelude::*;

    use super::*;

    fn event(name: &str, data: &str, id: &str) -> Event {
        Event {
            name: name.to_owned(),
            data: data.to_owned(),
            id: id.to_owned(),
        }
    }

    #[test]
    fn a_stream_is_parsed_by_the_standard() {
        let stream = "\u{feff}retry: 3000\n\n: a comment\nid: 1\nevent: state\ndata: {\"a\":1}\n\n\
             data:two\r\ndata: lines\r\n\r\nid\ndata\n\nevent: lost\nid: 7\n\ndata: é\r\rdata: not whole\n";
        let events = EventReader::default().read(stream.as_bytes());
        assert_eq!(
            events,
            [
                event("state", "{\"a\":1}", "1"),
                event("", "two\nlines", "1"),
                event("", "", ""),
                event("", "é", "7")
            ]
        );
    }

    /// Fuzz test; CONTRIBUTING.md describes how to run it for longer.
    #[test]
    fn any_bytes_are_read_as_an_event_stream() {
        const SEEDS: [&[u8]; 1] =
            [b"\xef\xbb\xbfretry: 3000\n\nid: 1\nevent: state\ndata: {}\r\n\r\n: comment\rdata\r\r"];
        bolero::check!().with_iterations(2_000).for_each(|bytes: &[u8]| {
            for stream in [bytes.to_vec(), edited(&SEEDS, bytes)] {
                let whole = EventReader::default().read(&stream);
                let mut reader = EventReader::default();
                let pieced: Vec<_> = stream.chunks(3).flat_map(|piece| reader.read(piece)).collect();
                assert_eq!(pieced, whole);
                // Each invalid byte is replaced by a character of three bytes.
                let decoded: usize = whole.iter().map(|event| event.name.len() + event.data.len()).sum();
                assert!(decoded <= 3 * stream.len(), "{decoded} of {}", stream.len());
            }
        });
    }

    proptest! {
        #[test]
        fn events_do_not_depend_on_how_the_stream_is_split(
            stream in "(id: [0-9]{1,2}|event: [a-c]|data: [a-zé]{0,3}|:|\r|\n|\r\n){0,40}",
            cuts in proptest::collection::vec(0.0..1.0_f64, 0..6),
        ) {
            let bytes = stream.as_bytes();
            let mut cuts: Vec<_> = cuts.iter().map(|cut| (cut * bytes.len() as f64) as usize).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut reader = EventReader::default();
            let pieced: Vec<_> = cuts.windows(2).flat_map(|cut| reader.read(&bytes[cut[0]..cut[1]])).collect();
            prop_assert_eq!(pieced, EventReader::default().read(bytes));
        }
    }
}
