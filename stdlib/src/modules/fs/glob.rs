//! Names with wildcards: `src/**/*.rs`.

use crate::support::io_error;
use heddle_vm::native::{Ctx, NativeResult};
use heddle_vm::thread::Outside;
use heddle_vm::types::ErrorKind;
use std::fs;
use std::io;

/// A part of a pattern between two `/`.
enum Part {
    /// A name without wildcards.
    Name(String),
    Wild(Vec<Wild>),
    /// `**`: any folders, also none.
    Folders,
}

enum Wild {
    One(char),
    /// `?`
    Any,
    /// `*`
    Many,
    /// `[a-z]`; `[!a-z]`: all others.
    Set(Vec<(char, char)>, bool),
}

fn parts(pattern: &str) -> Result<Vec<Part>, String> {
    let texts = pattern.split('/').filter(|text| !text.is_empty());
    texts.map(part).collect()
}
fn part(text: &str) -> Result<Part, String> {
    if text == "**" {
        return Ok(Part::Folders);
    }
    if !text.contains(['*', '?', '[']) {
        return Ok(Part::Name(text.into()));
    }
    let mut wild = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        wild.push(match c {
            '*' => Wild::Many,
            '?' => Wild::Any,
            '[' => {
                let (set, rest) = set(chars.as_str())
                    .ok_or_else(|| format!("the bracket in {text:?} is not closed"))?;
                chars = rest.chars();
                set
            }
            c => Wild::One(c),
        });
    }
    Ok(Part::Wild(wild))
}
/// What stands behind an opening bracket, and what follows the closing one. A bracket that comes first belongs to the set.
fn set(text: &str) -> Option<(Wild, &str)> {
    let (is_not, text) = match text.strip_prefix(['!', '^']) {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let end = text.char_indices().skip(1).find(|&(_, c)| c == ']')?.0;
    let mut ranges = Vec::new();
    let mut chars = text[..end].chars().peekable();
    while let Some(first) = chars.next() {
        let mut ahead = chars.clone();
        match (ahead.next(), ahead.next()) {
            (Some('-'), Some(last)) => {
                ranges.push((first, last));
                chars = ahead;
            }
            _ => ranges.push((first, first)),
        }
    }
    Some((Wild::Set(ranges, is_not), &text[end + 1..]))
}

impl Wild {
    fn takes(&self, c: char) -> bool {
        match self {
            Wild::One(own) => *own == c,
            Wild::Any | Wild::Many => true,
            Wild::Set(ranges, is_not) => {
                ranges.iter().any(|&(first, last)| first <= c && c <= last) != *is_not
            }
        }
    }
}

/// Goes back to the last `*` only: all before it has found its place.
fn matches(wild: &[Wild], name: &str) -> bool {
    // A name with a dot in front is meant only by a pattern with one.
    if name.starts_with('.') && !matches!(wild.first(), Some(Wild::One('.'))) {
        return false;
    }
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut i) = (0, 0);
    let mut star = None;
    while i < name.len() {
        match wild.get(at) {
            Some(Wild::Many) => {
                star = Some((at, i));
                at += 1;
            }
            Some(one) if one.takes(name[i]) => {
                at += 1;
                i += 1;
            }
            _ => match star {
                Some((star_at, from)) => {
                    star = Some((star_at, from + 1));
                    at = star_at + 1;
                    i = from + 1;
                }
                None => return false,
            },
        }
    }
    wild[at..].iter().all(|w| matches!(w, Wild::Many))
}

fn join(folder: &str, name: &str) -> String {
    match folder {
        "" => name.into(),
        "/" => format!("/{name}"),
        _ => format!("{folder}/{name}"),
    }
}

/// Adds the paths below a folder that match. What cannot be looked at has no paths in it, except the first one.
fn find(folder: &str, parts: &[Part], found: &mut Vec<String>) -> io::Result<()> {
    // A work list: folders may be deep.
    let mut work = vec![(folder.to_string(), parts)];
    let mut is_first = true;
    while let Some((folder, parts)) = work.pop() {
        let Some((part, rest)) = parts.split_first() else {
            continue;
        };
        let is_last = rest.is_empty();
        if let Part::Name(name) = part {
            let path = join(&folder, name);
            if is_last && fs::symlink_metadata(&path).is_ok() {
                found.push(path);
            } else if !is_last && fs::metadata(&path).is_ok_and(|m| m.is_dir()) {
                work.push((path, rest));
            }
            continue;
        }
        if matches!(part, Part::Folders) && !is_last {
            work.push((folder.clone(), rest));
        }
        let opened = fs::read_dir(if folder.is_empty() { "." } else { &folder });
        let entries = match opened {
            Ok(entries) => entries,
            Err(error) if is_first && error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) => continue,
        };
        is_first = false;
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = join(&folder, &name);
            match part {
                Part::Folders => {
                    if name.starts_with('.') {
                        continue;
                    }
                    // Links are not followed: they may lead in circles.
                    if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                        work.push((path.clone(), parts));
                    }
                    if is_last {
                        found.push(path);
                    }
                }
                Part::Wild(wild) if matches(wild, &name) => {
                    if is_last {
                        found.push(path);
                    } else if fs::metadata(&path).is_ok_and(|m| m.is_dir()) {
                        work.push((path, rest));
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
}

pub(super) fn glob(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Files);
    let pattern = ctx.str_arg(0)?.to_string();
    let parts = match parts(&pattern) {
        Ok(parts) => parts,
        Err(why) => return Err(ctx.throw(ErrorKind::Value, format!("fs.glob: {why}"))),
    };
    ctx.block(
        move || {
            let folder = if pattern.starts_with('/') { "/" } else { "" };
            let mut found = Vec::new();
            let done = find(folder, &parts, &mut found);
            found.sort_unstable();
            found.dedup();
            (pattern, done.map(|()| found))
        },
        |ctx, (pattern, found)| match found {
            Ok(found) => {
                ctx.reserve(found.iter().map(|path| path.len() + 40).sum())?;
                let found: Vec<_> = found.iter().map(|path| ctx.str(path)).collect();
                ctx.list(&found)
            }
            Err(error) => Err(io_error(ctx, &pattern, &error)),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_names() {
        for (pattern, name, is_match) in [
            ("*.rs", "a.rs", true),
            ("*.rs", "a.rsx", false),
            ("*a*b", "xaayb", true),
            ("?.hd", "é.hd", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]x]", "]", true),
            ("*", ".hidden", false),
            (".*", ".hidden", true),
        ] {
            let Ok(Part::Wild(wild)) = part(pattern) else {
                panic!("{pattern}")
            };
            assert_eq!(matches(&wild, name), is_match, "{pattern} {name}");
        }
        assert!(part("[ab").is_err());
    }
}
