//! The value of `--chmod`: an octal number, or changes such as `u=rwX,go=rX`.
//!
//! The meaning of changes is that of BSD's setmode(3), which BuildKit uses, with an umask of 0: without a class a
//! change is for everyone. A mode is a number here; whose mode it is, this module does not know.

use std::fmt;

/// A `--chmod` value that has been understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chmod {
    text: String,
    meaning: Meaning,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Meaning {
    /// The whole mode, at most 07777.
    Octal(u32),
    /// To be done one after the other.
    Symbolic(Vec<Change>),
}

/// One operator and what stands behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    /// The bits of the classes before the operator: those that it may touch.
    who: u32,
    operator: Operator,
    permissions: Permissions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Add,
    Remove,
    Assign,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Permissions {
    /// Bits of all classes, and those that are only for what is executable already, or a directory.
    Bits { always: u32, if_executable: u32 },
    /// What the class whose bits stand so far to the left has.
    CopyOf { shift: u32 },
}

/// A `--chmod` value without a meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidChmod {
    value: String,
    hint: &'static str,
}

const STICKY: u32 = 0o1000;
const SET_IDS: u32 = 0o6000;
const EXECUTE: u32 = 0o111;
const EVERYONE: u32 = 0o6777;
const OTHERS: u32 = 0o007;

const NOT_OCTAL: &str = "a number is octal and at most 7777, as in `755` or `0644`";
const FORM: &str = "write an octal number, as in `755`, or changes, as in `u=rwX,go=rX`";
const NUMBER_AFTER_OPERATOR: &str = "an operator before a number is GNU's alone: write the number without it";
const LETTERS: &str = "behind an operator stand letters of `rwxXst`, or one of `ugo` to copy from";
const MIXED: &str = "what is copied stands alone: write `g=u+w` instead of `g=uw`";

impl Chmod {
    /// Parses a number up to 07777, or one or more changes with commas between them.
    pub fn parse(value: &str) -> Result<Self, InvalidChmod> {
        let meaning = if value.starts_with(|first: char| first.is_ascii_digit()) {
            parse_octal(value).map(Meaning::Octal).ok_or(NOT_OCTAL)
        } else {
            parse_changes(value).map(Meaning::Symbolic)
        };
        match meaning {
            Ok(meaning) => Ok(Self { text: value.to_owned(), meaning }),
            Err(hint) => Err(InvalidChmod { value: value.to_owned(), hint }),
        }
    }

    /// The whole mode, if it does not depend on what is there.
    pub fn octal(&self) -> Option<u32> {
        match self.meaning {
            Meaning::Octal(mode) => Some(mode),
            Meaning::Symbolic(_) => None,
        }
    }

    /// The mode that something with `mode` gets; bits above 07777 are left as they are.
    pub fn apply(&self, mode: u32, is_dir: bool) -> u32 {
        match &self.meaning {
            Meaning::Octal(octal) => (mode & !0o7777) | octal,
            Meaning::Symbolic(changes) => {
                // setmode(3): `X` asks for the mode before the first change.
                let executable = is_dir || mode & EXECUTE != 0;
                changes.iter().fold(mode, |mode, change| change.apply(mode, executable))
            }
        }
    }
}

/// The value as it was written.
impl fmt::Display for Chmod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Change {
    fn apply(self, mode: u32, executable: bool) -> u32 {
        let (bits, scope) = match self.permissions {
            Permissions::Bits { always, if_executable } => {
                let bits = if executable { always | if_executable } else { always };
                (bits & self.who, self.who)
            }
            // Set-id bits belong to no class that could be copied.
            Permissions::CopyOf { shift } => {
                let scope = self.who & 0o777;
                ((((mode >> shift) & 0o7) * EXECUTE) & scope, scope)
            }
        };
        match self.operator {
            Operator::Add => mode | bits,
            Operator::Remove => mode & !bits,
            Operator::Assign => (mode & !scope) | bits,
        }
    }
}

fn parse_octal(digits: &str) -> Option<u32> {
    u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o7777)
}

fn parse_changes(value: &str) -> Result<Vec<Change>, &'static str> {
    let mut changes = Vec::new();
    for clause in value.split(',') {
        let classes = clause.len() - clause.trim_start_matches(['u', 'g', 'o', 'a']).len();
        let (classes, mut rest) = clause.split_at(classes);
        if !rest.starts_with(['+', '-', '=']) {
            return Err(FORM);
        }
        while let Some(operator) = rest.chars().next() {
            let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |at| at + 1);
            changes.push(change(who(classes), operator, &rest[1..end])?);
            rest = &rest[end..];
        }
    }
    Ok(changes)
}

fn who(classes: &str) -> u32 {
    let bits = |class| match class {
        'u' => 0o4700,
        'g' => 0o2070,
        'o' => OTHERS,
        _ => EVERYONE,
    };
    if classes.is_empty() { EVERYONE } else { classes.chars().fold(0, |who, class| who | bits(class)) }
}

fn change(mut who: u32, operator: char, permissions: &str) -> Result<Change, &'static str> {
    let operator = match operator {
        '+' => Operator::Add,
        '-' => Operator::Remove,
        _ => Operator::Assign,
    };
    if let Some(shift) = copied_class(permissions) {
        return Ok(Change { who, operator, permissions: Permissions::CopyOf { shift } });
    }
    let (mut always, mut if_executable) = (0, 0);
    for letter in permissions.chars() {
        match letter {
            'r' => always |= 0o444,
            'w' => always |= 0o222,
            'X' if operator != Operator::Remove => if_executable = EXECUTE,
            'x' | 'X' => always |= EXECUTE,
            's' => always |= SET_IDS,
            // setmode(3): the sticky bit is no bit of others alone, and touched only where it is named.
            't' if who == OTHERS => {}
            't' => {
                who |= STICKY;
                always |= STICKY;
            }
            'u' | 'g' | 'o' => return Err(MIXED),
            '0'..='9' => return Err(NUMBER_AFTER_OPERATOR),
            _ => return Err(LETTERS),
        }
    }
    Ok(Change { who, operator, permissions: Permissions::Bits { always, if_executable } })
}

/// How far to the left the bits stand of the class that `permissions` copies, if it does.
fn copied_class(permissions: &str) -> Option<u32> {
    match permissions {
        "u" => Some(6),
        "g" => Some(3),
        "o" => Some(0),
        _ => None,
    }
}

impl InvalidChmod {
    /// What to write instead.
    pub fn hint(&self) -> &'static str {
        self.hint
    }
}

impl fmt::Display for InvalidChmod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid mode `{}`", self.value)
    }
}

impl std::error::Error for InvalidChmod {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_and_the_whole_mode() {
        for (value, mode) in
            [("755", 0o755), ("0644", 0o644), ("0", 0), ("7777", 0o7777), ("00001777", 0o1777)]
        {
            let chmod = Chmod::parse(value).unwrap();
            assert_eq!((chmod.octal(), chmod.apply(0o4321, true)), (Some(mode), mode), "{value}");
            assert_eq!(chmod.to_string(), value);
        }
        assert_eq!(Chmod::parse("600").unwrap().apply(0o100_777, false), 0o100_600, "the type is no mode");
    }

    #[test]
    fn changes_are_those_of_setmode() {
        // Value, what a file with 0640 gets, with 0751, and what a directory with 0700 gets.
        for (value, plain, executable, directory) in [
            ("u=rwX,go=rX", 0o644, 0o755, 0o755),
            ("a+x", 0o751, 0o751, 0o711),
            ("+x", 0o751, 0o751, 0o711),
            ("a=rX", 0o444, 0o555, 0o555),
            ("=rw,+X", 0o666, 0o777, 0o777),
            ("go-w", 0o640, 0o751, 0o700),
            ("go=", 0o600, 0o700, 0o700),
            ("ug+w-r", 0o220, 0o331, 0o320),
            ("a-X", 0o640, 0o640, 0o600),
            ("g=u", 0o660, 0o771, 0o770),
            ("go=u-w", 0o644, 0o755, 0o755),
            ("o-g", 0o640, 0o750, 0o700),
            ("+t", 0o1640, 0o1751, 0o1700),
            ("o+t", 0o640, 0o751, 0o700),
            ("u+s", 0o4640, 0o4751, 0o4700),
            ("g+s", 0o2640, 0o2751, 0o2700),
            ("a+st", 0o7640, 0o7751, 0o7700),
            ("o+s", 0o640, 0o751, 0o700),
            ("u+x,a+X", 0o740, 0o751, 0o711),
            ("u+", 0o640, 0o751, 0o700),
        ] {
            let chmod = Chmod::parse(value).unwrap();
            let got =
                [(0o640, false), (0o751, false), (0o700, true)].map(|(mode, dir)| chmod.apply(mode, dir));
            assert_eq!(got, [plain, executable, directory], "{value}");
            assert_eq!(chmod.octal(), None);
        }
    }

    #[test]
    fn assigning_clears_the_set_id_bits_of_its_classes_and_the_sticky_bit_only_by_name() {
        for (value, mode) in [
            ("u=rw", 0o3677),
            ("g=r", 0o5747),
            ("a=rx", 0o1555),
            ("o=", 0o7770),
            ("a=t", 0o1000),
            ("-t", 0o6777),
        ] {
            assert_eq!(Chmod::parse(value).unwrap().apply(0o7777, false), mode, "{value}");
        }
    }

    #[test]
    fn what_has_no_meaning_is_refused_with_a_cure() {
        for (value, hint) in [
            ("64a", NOT_OCTAL),
            ("888", NOT_OCTAL),
            ("10000", NOT_OCTAL),
            ("0o755", NOT_OCTAL),
            ("99999999999999999999", NOT_OCTAL),
            ("", FORM),
            ("rwxr-xr-x", FORM),
            ("u", FORM),
            ("u+x,", FORM),
            (",u+x", FORM),
            ("u=rw go=r", LETTERS),
            ("+755", NUMBER_AFTER_OPERATOR),
            ("=0644", NUMBER_AFTER_OPERATOR),
            ("a+é", LETTERS),
            ("g=uw", MIXED),
            ("u=go", MIXED),
        ] {
            let error = Chmod::parse(value).unwrap_err();
            assert_eq!((error.hint(), error.to_string()), (hint, format!("invalid mode `{value}`")));
        }
    }
}
