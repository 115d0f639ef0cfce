//! The conditions of `#if`, `#ifdef`, `#ifndef` and `#elif`: C's integer expressions.

use super::macros::{Macros, identifier, named};

/// Deeper parentheses and rows of operators are a mistake.
const MAX_DEPTH: usize = 100;

#[derive(Debug)]
pub(super) enum Condition {
    /// `#ifdef`.
    Defined(String),
    /// `#ifndef`.
    Undefined(String),
    /// `#if`, `#elif`.
    Expression(String),
}

impl Condition {
    /// Whether it holds.
    pub(super) fn holds(&self, macros: &Macros, budget: &mut usize) -> Result<bool, String> {
        match self {
            Self::Defined(text) => named(text).map(|name| macros.find(name).is_some()),
            Self::Undefined(text) => named(text).map(|name| macros.find(name).is_none()),
            Self::Expression(text) => {
                let expanded = macros.expand(&without_defined(text, macros)?, budget)?;
                let text = without_defined(&expanded, macros)?;
                let mut parser = Parser { rest: text.trim(), depth: 0 };
                let value = parser.conditional()?;
                match parser.rest {
                    "" => value.map(|value| value != 0).ok_or_else(|| "this divides by zero".to_owned()),
                    rest => Err(format!("`{rest}` has no meaning in a condition")),
                }
            }
        }
    }
}

/// The text with 1 and 0 in the place of `defined NAME` and `defined(NAME)`.
fn without_defined(text: &str, macros: &Macros) -> Result<String, String> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(character) = rest.chars().next() {
        let word = identifier(rest);
        if word != "defined" {
            let length = word.len().max(character.len_utf8());
            out.push_str(&rest[..length]);
            rest = &rest[length..];
            continue;
        }
        let operand = rest[word.len()..].trim_start();
        let inside = operand.strip_prefix('(');
        let operand = inside.unwrap_or(operand).trim_start();
        let name = named(operand)?;
        out.push(if macros.find(name).is_some() { '1' } else { '0' });
        rest = &operand[name.len()..];
        if inside.is_some() {
            rest = rest.trim_start().strip_prefix(')').ok_or("`defined(` has no `)`")?;
        }
    }
    Ok(out)
}

/// Operators of two operands, the longer ones first, with how strongly they bind.
const OPERATORS: [(&str, u8); 18] = [
    ("||", 1),
    ("&&", 2),
    ("==", 6),
    ("!=", 6),
    ("<=", 7),
    (">=", 7),
    ("<<", 8),
    (">>", 8),
    ("<", 7),
    (">", 7),
    ("|", 3),
    ("^", 4),
    ("&", 5),
    ("+", 9),
    ("-", 9),
    ("*", 10),
    ("/", 10),
    ("%", 10),
];

/// A value; `None` came of a division by zero, which matters only if it is used.
type Value = Option<i64>;

struct Parser<'a> {
    /// Starts without blanks.
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn conditional(&mut self) -> Result<Value, String> {
        let condition = self.binary(1)?;
        if !self.take("?") {
            return Ok(condition);
        }
        self.deeper()?;
        let then = self.conditional()?;
        if !self.take(":") {
            return Err("`?` has no `:`".to_owned());
        }
        let otherwise = self.conditional()?;
        self.depth -= 1;
        Ok(condition.and_then(|condition| if condition != 0 { then } else { otherwise }))
    }

    /// Operators that bind at least as strongly as `weakest`.
    fn binary(&mut self, weakest: u8) -> Result<Value, String> {
        let mut left = self.unary()?;
        loop {
            let found = OPERATORS.iter().find(|(operator, _)| self.rest.starts_with(operator));
            let Some((operator, strength)) = found.filter(|(_, strength)| *strength >= weakest) else {
                return Ok(left);
            };
            self.take(operator);
            let right = self.binary(strength + 1)?;
            left = apply(operator, left, right);
        }
    }

    fn unary(&mut self) -> Result<Value, String> {
        self.deeper()?;
        let value = if self.take("!") {
            self.unary()?.map(|value| i64::from(value == 0))
        } else if self.take("-") {
            self.unary()?.map(i64::wrapping_neg)
        } else if self.take("+") {
            self.unary()?
        } else if self.take("~") {
            self.unary()?.map(|value| !value)
        } else {
            self.primary()?
        };
        self.depth -= 1;
        Ok(value)
    }

    fn primary(&mut self) -> Result<Value, String> {
        if self.take("(") {
            let value = self.conditional()?;
            return if self.take(")") { Ok(value) } else { Err("a `)` is missing".to_owned()) };
        }
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        match word.chars().next() {
            Some(first) if first.is_ascii_digit() => number(word).map(Some),
            // A name that stands for nothing is 0.
            Some(_) => Ok(Some(0)),
            None => Err(match rest.chars().next() {
                Some(character) => format!("a number is expected before `{character}`"),
                None => "a number or a name is missing at the end".to_owned(),
            }),
        }
    }

    fn take(&mut self, token: &str) -> bool {
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.map_or(self.rest, str::trim_start);
        rest.is_some()
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err("this is nested too deeply".to_owned()) } else { Ok(()) }
    }
}

fn apply(operator: &str, left: Value, right: Value) -> Value {
    match (operator, left) {
        ("||", Some(left)) if left != 0 => return Some(1),
        ("&&", Some(0)) => return Some(0),
        _ => {}
    }
    let (left, right) = (left?, right?);
    let shift = u32::try_from(right).unwrap_or(u32::MAX);
    Some(match operator {
        "||" | "&&" => i64::from(right != 0),
        "==" => i64::from(left == right),
        "!=" => i64::from(left != right),
        "<=" => i64::from(left <= right),
        ">=" => i64::from(left >= right),
        "<" => i64::from(left < right),
        ">" => i64::from(left > right),
        "<<" => left.checked_shl(shift).unwrap_or_default(),
        ">>" => left.checked_shr(shift).unwrap_or_default(),
        "|" => left | right,
        "^" => left ^ right,
        "&" => left & right,
        "+" => left.wrapping_add(right),
        "-" => left.wrapping_sub(right),
        "*" => left.wrapping_mul(right),
        "/" if right != 0 => left.wrapping_div(right),
        "%" if right != 0 => left.wrapping_rem(right),
        _ => return None,
    })
}

/// C's integers: decimal, `0x`, `0b`, octal with a leading 0; the suffixes `U` and `L` say nothing here.
fn number(word: &str) -> Result<i64, String> {
    let digits = word.trim_end_matches(['u', 'U', 'l', 'L']);
    let lower = digits.to_ascii_lowercase();
    let value = match lower.as_bytes() {
        [b'0', b'x', ..] => i64::from_str_radix(&lower[2..], 16),
        [b'0', b'b', ..] => i64::from_str_radix(&lower[2..], 2),
        [b'0', _, ..] => i64::from_str_radix(&lower, 8),
        _ => lower.parse(),
    };
    value.map_err(|_| format!("`{word}` is no whole number"))
}
