//! A text with the places of its lines. Editors count a place by its line and the UTF-16 units before it in the line; all else here counts bytes.
//!
//! Lines end with `\n`, `\r\n` or `\r`. A place behind the end of a line is that end, one behind the last line the end of the text.

use std::cell::Cell;
use std::ops::Range;

/// A place as editors count it, both from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: u32,
    pub character: u32,
}

#[derive(Clone, Debug, Default)]
pub struct Text {
    text: String,
    /// Where lines begin.
    lines: Vec<u32>,
    /// The place of a byte that was asked for last, for those near it in a long line.
    last: Cell<(u32, Position)>,
}

impl Text {
    pub fn new(text: String) -> Text {
        let mut lines = vec![0];
        let bytes = text.as_bytes();
        for (at, &byte) in bytes.iter().enumerate() {
            let ends = byte == b'\n' || byte == b'\r' && bytes.get(at + 1) != Some(&b'\n');
            if ends {
                lines.push(at as u32 + 1);
            }
        }
        let last = Cell::default();
        Text { text, lines, last }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Of a line, without its end.
    fn line(&self, line: usize) -> (u32, &str) {
        let start = self.lines[line];
        let end = self
            .lines
            .get(line + 1)
            .map_or(self.text.len(), |&next| next as usize);
        let whole = &self.text[start as usize..end];
        (start, whole.trim_end_matches(['\n', '\r']))
    }

    pub fn line_count(&self) -> usize {
        self.lines.len()
    }

    pub fn line_of(&self, offset: u32) -> usize {
        self.lines.partition_point(|&start| start <= offset) - 1
    }

    /// Where a line begins and where it ends, its end of line not counted.
    pub fn line_range(&self, line: usize) -> Range<u32> {
        let (start, text) = self.line(line);
        start..start + text.len() as u32
    }

    /// The byte at a place.
    pub fn offset(&self, position: Position) -> u32 {
        let line = position.line as usize;
        if line >= self.lines.len() {
            return self.text.len() as u32;
        }
        let (start, text) = self.line(line);
        let wanted = position.character as usize;
        if text.is_ascii() {
            return start + wanted.min(text.len()) as u32;
        }
        let mut units = 0;
        for (at, c) in text.char_indices() {
            units += c.len_utf16();
            // A place inside a character is that in front of it.
            if units > wanted {
                return start + at as u32;
            }
        }
        start + text.len() as u32
    }

    /// The place of a byte; of one inside a character, that of the character.
    pub fn position(&self, offset: u32) -> Position {
        let offset = self.floor(offset);
        let line = self.line_of(offset);
        // No place lies within the end of a line.
        let offset = offset.min(self.line_range(line).end);
        let units = |from: u32, to: u32| {
            let part = &self.text[from as usize..to as usize];
            let count = match part.is_ascii() {
                true => part.len(),
                false => part.chars().map(char::len_utf16).sum(),
            };
            count as u32
        };
        let start = self.lines[line];
        let (known, at) = self.last.get();
        let is_near = at.line == line as u32 && known >= start;
        let character = if is_near && known <= offset {
            at.character + units(known, offset)
        } else if is_near && known - offset < offset - start {
            at.character - units(offset, known)
        } else {
            units(start, offset)
        };
        let position = Position {
            line: line as u32,
            character,
        };
        self.last.set((offset, position));
        position
    }

    /// The start of the character that a byte belongs to; at most the end of the text.
    pub fn floor(&self, offset: u32) -> u32 {
        let mut offset = (offset as usize).min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset as u32
    }

    /// The text with something else between two places, whichever is the first.
    pub fn replaced(&self, from: u32, to: u32, with: &str) -> Text {
        let (start, end) = (from.min(to), from.max(to));
        let (start, end) = (self.floor(start) as usize, self.floor(end) as usize);
        let mut text = String::with_capacity(self.text.len() + with.len());
        text.push_str(&self.text[..start]);
        text.push_str(with);
        text.push_str(&self.text[end..]);
        Text::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, character: u32) -> Position {
        Position { line, character }
    }

    #[track_caller]
    fn check(text: &str, position: Position, offset: u32, back: Position) {
        let text = Text::new(text.into());
        assert_eq!(text.offset(position), offset);
        assert_eq!(text.position(offset), back);
    }

    #[test]
    fn units_are_those_of_utf_16() {
        // Two bytes and one unit; four bytes and two units.
        check("é𝄞x", at(0, 1), 2, at(0, 1));
        check("é𝄞x", at(0, 2), 2, at(0, 1));
        check("é𝄞x", at(0, 3), 6, at(0, 3));
        check("é𝄞x", at(0, 4), 7, at(0, 4));
    }
    #[test]
    fn places_beyond_the_text_are_its_ends() {
        check("ab\ncd", at(0, 9), 2, at(0, 2));
        check("ab\r\ncd", at(0, 9), 2, at(0, 2));
        assert_eq!(Text::new("ab\r\ncd".into()).position(3), at(0, 2));
        check("ab\ncd", at(9, 9), 5, at(1, 2));
        check("", at(3, 3), 0, at(0, 0));
    }
    #[test]
    fn all_ends_of_lines_count() {
        let text = Text::new("a\nb\r\nc\rd".into());
        assert_eq!(text.line_count(), 4);
        assert_eq!(text.offset(at(2, 0)), 5);
        assert_eq!(text.offset(at(3, 1)), 8);
    }
    #[test]
    fn places_in_any_order() {
        let text = Text::new("é𝄞x\né𝄞x".into());
        for offset in [7, 0, 6, 2, 8, 15, 10, 14, 8, 7, 2] {
            let fresh = Text::new(text.as_str().into());
            assert_eq!(text.position(offset), fresh.position(offset), "{offset}");
        }
    }
    #[test]
    fn replacing() {
        let text = Text::new("let a = 1\n".into());
        assert_eq!(text.replaced(4, 5, "bc").as_str(), "let bc = 1\n");
        assert_eq!(text.replaced(5, 4, "").as_str(), "let  = 1\n");
        assert_eq!(text.replaced(99, 100, "x").as_str(), "let a = 1\nx");
    }
}
