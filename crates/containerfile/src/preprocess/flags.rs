//! The flags of cpp(1) that `--cpp-flag` and `BUILDAH_CPPFLAGS` hand over.

use std::fmt;

use super::macros::Macros;

/// What the command line says about preprocessing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CppFlags {
    pub(super) macros: Macros,
    /// Where includes are looked for after the build context; paths relative to it.
    pub(super) dirs: Vec<String>,
}

/// A flag that has no meaning here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidCppFlag {
    /// The flag.
    pub flag: String,
    /// Why it cannot be.
    pub why: String,
}

/// What builder does anyway.
const IMPLIED: [&str; 6] = ["-E", "-P", "-traditional", "-traditional-cpp", "-undef", "-nostdinc"];

impl CppFlags {
    /// Takes `-DNAME`, `-DNAME=VALUE`, `-UNAME`, `-IDIR` and `-iquoteDIR`; the value may be a word of its own.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidCppFlag> {
        let mut flags = Self::default();
        let mut words = words.into_iter().filter(|word| !word.is_empty());
        while let Some(flag) = words.next() {
            let invalid = |why: &str| InvalidCppFlag { flag: flag.to_owned(), why: why.to_owned() };
            if IMPLIED.contains(&flag) {
                continue;
            }
            let known = ["-D", "-U", "-iquote", "-I"].into_iter().find(|known| flag.starts_with(known));
            let known = known.ok_or_else(|| invalid("known are -D, -U, -I and -iquote"))?;
            let value = match flag[known.len()..].trim() {
                "" => words.next().ok_or_else(|| invalid("its value is missing"))?,
                value => value,
            };
            let done = match known {
                "-D" => flags.macros.define(&definition(value)).map(|_| ()),
                "-U" => flags.macros.undefine(value),
                _ => {
                    flags.dirs.push(value.trim_end_matches('/').to_owned());
                    Ok(())
                }
            };
            done.map_err(|why| invalid(&why))?;
        }
        Ok(flags)
    }
}

/// cpp(1): `-D NAME` means 1, and the first `=` stands for the blank of `#define`.
fn definition(value: &str) -> String {
    match value.split_once('=') {
        Some((name, body)) => format!("{name} {body}"),
        None => format!("{value} 1"),
    }
}

impl fmt::Display for InvalidCppFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid preprocessor flag `{}`: {}", self.flag, self.why)
    }
}

impl std::error::Error for InvalidCppFlag {}
