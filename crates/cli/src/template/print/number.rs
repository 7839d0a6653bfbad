//! Numbers as Go writes them: bases, signs, exponents of two digits.

use super::directive::Directive;

/// A number of 64 bits has no digit behind these.
const DIGITS_MAX: usize = 1100;

/// A whole number for one of the verbs `b d o O x X`, without its width; `zero` fills up to that width with zeros.
pub fn integer(number: i64, directive: &Directive, verb: char) -> String {
    let magnitude = number.unsigned_abs();
    let mut digits = match verb {
        'b' => format!("{magnitude:b}"),
        'o' | 'O' => format!("{magnitude:o}"),
        'x' => format!("{magnitude:x}"),
        'X' => format!("{magnitude:X}"),
        _ => magnitude.to_string(),
    };
    let sign = sign(number < 0, directive);
    let mut least = directive.precision.unwrap_or(0);
    if directive.precision == Some(0) && number == 0 {
        return String::new();
    }
    if directive.precision.is_none() && directive.zero && !directive.minus {
        least = directive.width.unwrap_or(0).saturating_sub(sign.len());
    }
    if digits.len() < least {
        digits.insert_str(0, &"0".repeat(least - digits.len()));
    }
    let prefix = match verb {
        'b' if directive.sharp => "0b",
        'o' if directive.sharp && !digits.starts_with('0') => "0",
        'O' => "0o",
        'x' if directive.sharp => "0x",
        'X' if directive.sharp => "0X",
        _ => "",
    };
    format!("{sign}{prefix}{digits}")
}

fn sign(is_negative: bool, directive: &Directive) -> &'static str {
    match () {
        () if is_negative => "-",
        () if directive.plus => "+",
        () if directive.space => " ",
        () => "",
    }
}

/// A number for one of the verbs `e E f F g G`, without its width.
pub fn float(number: f64, directive: &Directive, verb: char) -> String {
    if !number.is_finite() {
        let text = if number.is_nan() { "NaN" } else { "Inf" };
        let plus = if number > 0.0 && directive.plus { "+" } else { "" };
        // Infinity has a sign in any case: its printing says which one it is.
        let always = if number.is_infinite() && number > 0.0 { "+" } else { plus };
        return if number < 0.0 { format!("-{text}") } else { format!("{always}{text}") };
    }
    let magnitude = number.abs();
    let body = match verb {
        'e' | 'E' => exponential(magnitude, Some(directive.precision.unwrap_or(6))),
        'f' | 'F' => fixed(magnitude, directive.precision.unwrap_or(6)),
        _ => general(magnitude, directive.precision),
    };
    let body = if verb.is_ascii_uppercase() { body.to_uppercase() } else { body };
    let sign = sign(number.is_sign_negative(), directive);
    let width = directive.width.unwrap_or(0);
    if directive.zero && !directive.minus && sign.len() + body.len() < width {
        return format!("{sign}{}{body}", "0".repeat(width - sign.len() - body.len()));
    }
    format!("{sign}{body}")
}

/// `1.50`.
fn fixed(magnitude: f64, precision: usize) -> String {
    let (exact, zeros) = digits(precision);
    format!("{magnitude:.exact$}{zeros}")
}

/// How many digits behind the point are asked for, and the zeros that follow: no number has more digits of its own.
fn digits(precision: usize) -> (usize, String) {
    let exact = precision.min(DIGITS_MAX);
    (exact, "0".repeat(precision - exact))
}

/// `1.5e+06`; without a precision as many digits as tell the number from its neighbours.
fn exponential(magnitude: f64, precision: Option<usize>) -> String {
    let (text, zeros) = match precision {
        Some(precision) => {
            let (exact, zeros) = digits(precision);
            (format!("{magnitude:.exact$e}"), zeros)
        }
        None => (format!("{magnitude:e}"), String::new()),
    };
    let (mantissa, exponent) = split(&text);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}{zeros}e{sign}{:02}", exponent.abs())
}

/// Mantissa and exponent of what Rust writes for `e`.
fn split(text: &str) -> (&str, i32) {
    let (mantissa, exponent) = text.split_once('e').expect("the format writes an exponent");
    (mantissa, exponent.parse().expect("the format writes a number behind the e"))
}

/// `%g`: with an exponent if that is below -4, or not below the precision.
fn general(magnitude: f64, precision: Option<usize>) -> String {
    let precision = precision.map(|digits| digits.clamp(1, DIGITS_MAX));
    let text = match precision {
        Some(digits) => format!("{magnitude:.*e}", digits - 1),
        None => format!("{magnitude:e}"),
    };
    let (mantissa, exponent) = split(&text);
    let mut digits = mantissa.replace('.', "");
    digits.truncate(digits.trim_end_matches('0').len().max(1));
    let count = digits.len() as i32;
    let point = exponent + 1;
    let limit = match precision {
        None => 6,
        Some(precision) if precision as i32 > count && count >= point => count,
        Some(precision) => precision as i32,
    };
    if exponent < -4 || exponent >= limit {
        return exponential(magnitude, Some(digits.len() - 1));
    }
    if point <= 0 {
        return format!("0.{}{digits}", "0".repeat(point.unsigned_abs() as usize));
    }
    let point = point as usize;
    match digits.len() {
        length if length <= point => format!("{digits}{}", "0".repeat(point - length)),
        _ => format!("{}.{}", &digits[..point], &digits[point..]),
    }
}
