//! Splits an event stream into events (WHATWG HTML, "Server-sent events", section 9.2.6), however it is cut into
//! pieces.

use thiserror::Error;

/// Maximum size of a line, and of an event's data, in bytes; events of answers have some hundred.
const MAX_EVENT_BYTES: usize = 16 << 20;

/// One event: its `event:` name where it has one, and its `data:` lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: Option<String>,
    pub(crate) data: String,
}

/// The error for an event that is larger than any answer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an event is larger than {} MiB", MAX_EVENT_BYTES >> 20)]
pub(crate) struct TooLong;

/// A parser that takes a stream piece by piece. Bytes are decoded by whole lines, so that a piece may end within a
/// character.
#[derive(Debug, Default)]
pub(crate) struct EventStream {
    line: Vec<u8>,
    event: Event,
    has_data: bool,
    /// Whether the last byte was a CR, to which a following LF belongs.
    after_cr: bool,
    is_begun: bool,
}

impl EventStream {
    /// Parses a piece and appends the events that it completes.
    ///
    /// # Errors
    /// Returns [`TooLong`]; the stream cannot be read further.
    pub(crate) fn feed(&mut self, mut piece: &[u8], events: &mut Vec<Event>) -> Result<(), TooLong> {
        if piece.is_empty() {
            return Ok(());
        }
        if std::mem::take(&mut self.after_cr) && piece.first() == Some(&b'\n') {
            piece = &piece[1..];
        }
        while let Some(end) = piece.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
            self.extend(&piece[..end])?;
            let is_cr = piece[end] == b'\r';
            piece = &piece[end + 1..];
            if is_cr {
                match piece.first() {
                    Some(b'\n') => piece = &piece[1..],
                    None => self.after_cr = true,
                    Some(_) => {}
                }
            }
            let line = std::mem::take(&mut self.line);
            self.end_line(&line, events)?;
        }
        self.extend(piece)
    }

    /// Appends the event that the end of the stream completes: some servers omit the last empty line.
    pub(crate) fn finish(&mut self, events: &mut Vec<Event>) -> Result<(), TooLong> {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.end_line(&line, events)?;
        }
        self.end_event(events);
        Ok(())
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if self.line.len() + bytes.len() > MAX_EVENT_BYTES {
            return Err(TooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self, line: &[u8], events: &mut Vec<Event>) -> Result<(), TooLong> {
        let line = match std::mem::replace(&mut self.is_begun, true) {
            false => line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line),
            true => line,
        };
        if line.is_empty() {
            self.end_event(events);
            return Ok(());
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = String::from_utf8_lossy(value.strip_prefix(b" ").unwrap_or(value));
        match &line[..colon] {
            // Until 2025 llama.cpp wrote `error:` instead of `event: error` and `data:`.
            name @ (b"data" | b"error") => {
                if name == b"error" {
                    self.event.name = Some("error".to_owned());
                }
                if self.event.data.len() + value.len() > MAX_EVENT_BYTES {
                    return Err(TooLong);
                }
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(&value);
            }
            b"event" => self.event.name = Some(value.into_owned()),
            // A comment has no name; `id` and `retry` are only for streams that are resumed.
            _ => {}
        }
        Ok(())
    }

    fn end_event(&mut self, events: &mut Vec<Event>) {
        let event = std::mem::take(&mut self.event);
        if std::mem::take(&mut self.has_data) {
            events.push(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
        let (mut stream, mut events) = (EventStream::default(), Vec::new());
        for piece in pieces {
            stream.feed(piece, &mut events).expect("short lines");
        }
        stream.finish(&mut events).expect("short lines");
        events
    }

    fn event(name: Option<&str>, data: &str) -> Event {
        Event {
            name: name.map(str::to_owned),
            data: data.to_owned(),
        }
    }

    #[test]
    fn comments_names_line_ends_and_a_missing_last_line_are_read() {
        let text = "\u{feff}: ping\r\ndata: a\r\n\r\nevent: error\rdata:b\rdata: c\r\r\nid: 4\n\ndata: [DONE]";
        let expected = [event(None, "a"), event(Some("error"), "b\nc"), event(None, "[DONE]")];
        assert_eq!(read([text.as_bytes()]), expected);
    }

    #[test]
    fn data_without_a_value_is_an_event_and_a_name_alone_is_not() {
        assert_eq!(read([b"data\n\nevent: x\n\n".as_slice()]), [event(None, "")]);
    }

    #[test]
    fn an_error_may_be_a_field_of_its_own() {
        assert_eq!(
            read([b"error: {\"code\":500}\n\n".as_slice()]),
            [event(Some("error"), "{\"code\":500}")]
        );
    }

    #[test]
    fn an_empty_piece_within_a_line_end_changes_nothing() {
        let pieces = ["data: a\r", "", "\ndata: b\r\n"].map(str::as_bytes);
        assert_eq!(read(pieces), [event(None, "a\nb")]);
    }

    #[test]
    fn a_line_without_end_is_an_error() {
        let mut stream = EventStream::default();
        let piece = vec![b'a'; MAX_EVENT_BYTES / 2 + 1];
        assert_eq!(stream.feed(&piece, &mut Vec::new()), Ok(()));
        assert_eq!(stream.feed(&piece, &mut Vec::new()), Err(TooLong));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_pieces_end(
            text in "(data: [aä🙂 ]{0,4}|event: e|: c|)(\r\n|\n|\r)(data: ü(\r\n|\n|\r)){0,3}(\r\n|\n|\r){0,3}data: x",
            cuts in prop::collection::vec(0_usize..64, 0..6),
        ) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            let ends = cuts.iter().copied().chain([bytes.len()]);
            let begins = [0].into_iter().chain(cuts.iter().copied());
            let pieces: Vec<_> = begins.zip(ends).map(|(begin, end)| &bytes[begin..end]).collect();
            prop_assert_eq!(read(pieces), read([bytes]));
        }
    }
}
