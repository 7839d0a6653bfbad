//! What stands between `%` and its verb: flags, width, precision, the operand's number.

use crate::template::value::Value;

/// The largest width, precision or number of an operand.
const NUMBER_MAX: usize = 1_000_000;

/// How one operand is printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directive {
    /// `-`
    pub minus: bool,
    /// `+`
    pub plus: bool,
    /// `#`
    pub sharp: bool,
    /// A space.
    pub space: bool,
    /// `0`
    pub zero: bool,
    /// The least number of letters.
    pub width: Option<usize>,
    /// Digits behind the point, or the most letters.
    pub precision: Option<usize>,
    /// Whether `[n]` names an operand that can be.
    pub index_is_good: bool,
    /// What is said of a width or precision that can't be.
    pub faults: Vec<&'static str>,
}

impl Directive {
    /// No flag and no number.
    pub fn plain() -> Self {
        Self { index_is_good: true, ..Self::default() }
    }
}

/// Reads directives, and knows which operand is next.
pub struct Reader<'a> {
    values: &'a [Value],
    next: usize,
    /// Whether `[n]` was used: then nobody counts what is left over.
    reordered: bool,
}

impl<'a> Reader<'a> {
    /// At the start of a format.
    pub fn new(values: &'a [Value]) -> Self {
        Self { values, next: 0, reordered: false }
    }

    /// The operand of the verb that was read.
    pub fn next_value(&mut self) -> Option<&'a Value> {
        let value = self.values.get(self.next);
        self.next += usize::from(value.is_some());
        value
    }

    /// Operands that no verb took.
    pub fn left_over(&self) -> usize {
        if self.reordered { 0 } else { self.values.len() - self.next }
    }

    /// The directive in front of a verb, the verb, and what follows.
    pub fn directive<'f>(&mut self, format: &'f str) -> (Directive, Option<char>, &'f str) {
        let mut directive = Directive::plain();
        let mut rest = flags(format, &mut directive);
        let mut is_numbered = self.index(&mut rest, &mut directive);
        if let Some(after) = rest.strip_prefix('*') {
            rest = after;
            match self.number() {
                Some(width) => {
                    // A negative width is a minus and its value.
                    directive.minus |= width < 0;
                    directive.zero &= width >= 0;
                    directive.width = Some(width.unsigned_abs() as usize);
                }
                None => directive.faults.push("%!(BADWIDTH)"),
            }
            is_numbered = false;
        } else if let Some(width) = digits(&mut rest) {
            if is_numbered {
                directive.index_is_good = false;
            }
            directive.width = Some(width);
        }
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            if is_numbered {
                directive.index_is_good = false;
            }
            is_numbered = self.index(&mut rest, &mut directive);
            if let Some(after) = rest.strip_prefix('*') {
                rest = after;
                match self.number() {
                    Some(precision) if precision >= 0 => directive.precision = Some(precision as usize),
                    _ => directive.faults.push("%!(BADPREC)"),
                }
                is_numbered = false;
            } else {
                directive.precision = Some(digits(&mut rest).unwrap_or(0));
            }
        }
        if !is_numbered {
            self.index(&mut rest, &mut directive);
        }
        let mut letters = rest.chars();
        let verb = letters.next();
        (directive, verb, letters.as_str())
    }

    /// `[n]`: the next operand is the nth. Gives whether it stood here.
    fn index(&mut self, rest: &mut &str, directive: &mut Directive) -> bool {
        let Some(inside) = rest.strip_prefix('[') else { return false };
        self.reordered = true;
        let Some(length) = inside.find(']') else {
            directive.index_is_good = false;
            *rest = inside;
            return true;
        };
        match inside[..length].parse::<usize>() {
            Ok(number) if (1..=self.values.len()).contains(&number) => self.next = number - 1,
            _ => directive.index_is_good = false,
        }
        *rest = &inside[length + 1..];
        true
    }

    /// The operand of a `*`.
    fn number(&mut self) -> Option<i64> {
        match self.next_value()? {
            Value::Int(number) if number.unsigned_abs() <= NUMBER_MAX as u64 => Some(*number),
            _ => None,
        }
    }
}

fn flags<'f>(format: &'f str, directive: &mut Directive) -> &'f str {
    let mut rest = format;
    loop {
        match rest.bytes().next() {
            Some(b'#') => directive.sharp = true,
            Some(b'0') => directive.zero = true,
            Some(b'+') => directive.plus = true,
            Some(b'-') => directive.minus = true,
            Some(b' ') => directive.space = true,
            _ => return rest,
        }
        rest = &rest[1..];
    }
}

/// The number at the start of `rest`; one that is too large counts as none.
fn digits(rest: &mut &str) -> Option<usize> {
    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
    let number = rest[..length].parse::<usize>().ok().filter(|number| *number <= NUMBER_MAX);
    *rest = &rest[length..];
    number
}
