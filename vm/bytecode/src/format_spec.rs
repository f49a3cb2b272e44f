//! Format specs, the part after `:` in `"{x:>8.2}"`: their grammar. Without dependencies, since the compiler checks them, too.
//!
//! `[[fill]align][sign]["#"]["0"][width][","]["." precision][type]` with align `< > ^`, sign `+ -` or a space, and type one of
//! `d x X b o e E f %`.

/// Where the text stands in its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
    Center,
}

/// What stands in front of numbers that are not negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    Nothing,
    Plus,
    Space,
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatType {
    /// As `str` would.
    Plain,
    /// `d`
    Decimal,
    /// `x`
    LowerHex,
    /// `X`
    UpperHex,
    /// `b`
    Binary,
    /// `o`
    Octal,
    /// `e`
    LowerExp,
    /// `E`
    UpperExp,
    /// `f`
    Fixed,
    /// `%`
    Percent,
}

/// A parsed format spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatSpec {
    pub fill: char,
    /// `None`: numbers right, the rest left.
    pub align: Option<Align>,
    pub sign: Sign,
    /// `#`: a prefix `0x`, `0b`, `0o`.
    pub has_prefix: bool,
    /// `0` before the width: zeros between sign and digits.
    pub has_zeros: bool,
    /// In characters.
    pub width: usize,
    /// `,`: thousands are set apart.
    pub has_commas: bool,
    /// Digits after the point; for strings, the most characters.
    pub precision: Option<usize>,
    pub kind: FormatType,
}

/// No field is wider, no number has more digits after its point.
pub const MAX_WIDTH: usize = 1_000_000;

/// What is wrong with most wrong specs.
const ORDER: &str = "the order is fill, align `<^>`, sign, `#`, `0`, width, `,`, `.precision`, type `d x X b o e E f %`";

impl FormatSpec {
    /// The spec of an empty text: everything as `str` would.
    pub const PLAIN: FormatSpec = FormatSpec {
        fill: ' ',
        align: None,
        sign: Sign::Nothing,
        has_prefix: false,
        has_zeros: false,
        width: 0,
        has_commas: false,
        precision: None,
        kind: FormatType::Plain,
    };

    /// Reads a spec; the error says what is wrong with it, for people who see it.
    pub fn parse(text: &str) -> Result<FormatSpec, String> {
        let mut spec = FormatSpec::PLAIN;
        let mut rest = text;
        let mut chars = rest.chars();
        let (first, second) = (chars.next(), chars.next());
        if let (Some(fill), Some(align)) = (first, second.and_then(align_of)) {
            spec.fill = fill;
            spec.align = Some(align);
            rest = chars.as_str();
        } else if let Some(align) = first.and_then(align_of) {
            spec.align = Some(align);
            rest = &rest[1..];
        }
        if let Some(after) = rest.strip_prefix('+') {
            spec.sign = Sign::Plus;
            rest = after;
        } else if let Some(after) = rest.strip_prefix(' ') {
            spec.sign = Sign::Space;
            rest = after;
        } else if let Some(after) = rest.strip_prefix('-') {
            rest = after;
        }
        if let Some(after) = rest.strip_prefix('#') {
            spec.has_prefix = true;
            rest = after;
        }
        if let Some(after) = rest.strip_prefix('0') {
            spec.has_zeros = true;
            rest = after;
        }
        let width;
        (width, rest) = number(rest, "width")?;
        spec.width = width.unwrap_or(0);
        if let Some(after) = rest.strip_prefix(',') {
            spec.has_commas = true;
            rest = after;
        }
        if let Some(after) = rest.strip_prefix('.') {
            (spec.precision, rest) = number(after, "precision")?;
            if spec.precision.is_none() {
                return Err("digits are missing behind `.`".into());
            }
        }
        let mut chars = rest.chars();
        if let Some(kind) = chars.next() {
            spec.kind = type_of(kind).ok_or(ORDER)?;
            if chars.next().is_some() {
                return Err(ORDER.into());
            }
        }
        Ok(spec)
    }
}

fn align_of(c: char) -> Option<Align> {
    match c {
        '<' => Some(Align::Left),
        '>' => Some(Align::Right),
        '^' => Some(Align::Center),
        _ => None,
    }
}

fn type_of(c: char) -> Option<FormatType> {
    Some(match c {
        'd' => FormatType::Decimal,
        'x' => FormatType::LowerHex,
        'X' => FormatType::UpperHex,
        'b' => FormatType::Binary,
        'o' => FormatType::Octal,
        'e' => FormatType::LowerExp,
        'E' => FormatType::UpperExp,
        'f' => FormatType::Fixed,
        '%' => FormatType::Percent,
        _ => return None,
    })
}

/// The decimal number at the beginning of the text, if there is one, and what follows.
fn number<'a>(text: &'a str, what: &str) -> Result<(Option<usize>, &'a str), String> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    if end == 0 {
        return Ok((None, text));
    }
    match text[..end].parse() {
        Ok(n) if n <= MAX_WIDTH => Ok((Some(n), &text[end..])),
        _ => Err(format!("the {what} is too large")),
    }
}
