//! What a program file is: a script with an interpreter, or an ELF program and where its parts belong (elf(5)).

use std::os::fd::AsFd;

use rustix::io::{Errno, pread};

use crate::trace::memory::PAGE;

/// As much of a file's start as the kernel looks at (`BINPRM_BUF_SIZE`).
const START: usize = 256;

/// No program has so large a table of segments (the kernel: one page).
const TABLE_MAX: usize = 64 << 10;

/// The size of the header of a program.
pub(super) const HEADER: usize = 64;
const SEGMENT: usize = 56;

/// A program file.
#[derive(Debug)]
pub(super) enum Image {
    /// `#!`: the interpreter, and the one argument that may follow it.
    Script { interpreter: Vec<u8>, argument: Option<Vec<u8>> },
    /// A program of this machine.
    Elf(Elf),
}

/// An ELF program.
#[derive(Debug)]
pub(super) struct Elf {
    /// Whether it can lie anywhere.
    pub(super) is_movable: bool,
    /// Where it begins, relative to where it lies.
    pub(super) entry: u64,
    /// Where its table of segments will be in memory, relative to where it lies.
    pub(super) table: u64,
    pub(super) segment_count: u64,
    /// What is to be loaded.
    pub(super) segments: Vec<Segment>,
    /// Path of the program that loads the rest.
    pub(super) interpreter: Option<Vec<u8>>,
}

/// A part of a program that is mapped into memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) flags: u32,
    pub(super) offset: u64,
    pub(super) address: u64,
    pub(super) file_size: u64,
    pub(super) memory_size: u64,
}

/// Why a file is no program that can be run.
#[derive(Debug)]
pub(super) enum Unfit {
    /// For the kernel it would be none either.
    Errno(Errno),
    /// It is one, of 32 bits.
    Narrow,
}

impl From<Errno> for Unfit {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl Image {
    /// Reads the start of a file.
    pub(super) fn read(file: impl AsFd) -> Result<Self, Unfit> {
        let mut start = vec![0; START];
        let length = pread(&file, &mut start[..], 0)?;
        start.truncate(length);
        if let Some(line) = start.strip_prefix(b"#!") {
            return script(line).ok_or(Unfit::Errno(Errno::NOEXEC));
        }
        elf(&file, &start).map(Self::Elf)
    }
}

/// execve(2), "Interpreter scripts": the line begins behind `#!`, and zeros follow the end of the file.
///
/// An interpreter without a name is one, for the kernel.
fn script(line: &[u8]) -> Option<Image> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let is_end = |byte: &u8| is_blank(byte) || *byte == 0;
    let mut line = line.to_vec();
    line.resize(START - 2, 0);
    let end = if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
        end
    } else {
        let name = line.iter().position(|byte| !is_blank(byte))?;
        // Else there may be more of the name than was read.
        line[name..].iter().position(is_end)?;
        line.len() - 1
    };
    let line = &line[..=line[..end].iter().rposition(|byte| !is_blank(byte))?];
    let line = &line[line.iter().position(|byte| !is_blank(byte))?..];
    let (interpreter, rest) = line.split_at(line.iter().position(is_end).unwrap_or(line.len()));
    let argument = rest.iter().position(|byte| !is_blank(byte)).filter(|begin| *begin > 0);
    let argument = argument.map(|begin| rest[begin..].split(|byte| *byte == 0).next().unwrap_or_default());
    Some(Image::Script { interpreter: interpreter.to_vec(), argument: argument.map(<[u8]>::to_vec) })
}

fn elf(file: impl AsFd, start: &[u8]) -> Result<Elf, Unfit> {
    const NATIVE: u16 = 62;
    const EXECUTABLE: u16 = 2;
    const SHARED: u16 = 3;
    const LOAD: u32 = 1;
    const INTERPRETER: u32 = 3;
    let no_program = Unfit::Errno(Errno::NOEXEC);
    if start.len() < HEADER || start[..4] != *b"\x7fELF" {
        return Err(no_program);
    }
    if start[4] == 1 {
        return Err(Unfit::Narrow);
    }
    let kind = half(start, 16);
    if start[4] != 2 || half(start, 18) != NATIVE || ![EXECUTABLE, SHARED].contains(&kind) {
        return Err(no_program);
    }
    let (table_offset, count) = (word(start, 32), usize::from(half(start, 56)));
    if usize::from(half(start, 54)) != SEGMENT || count == 0 || count * SEGMENT > TABLE_MAX {
        return Err(no_program);
    }
    let mut table = vec![0; count * SEGMENT];
    read_exactly(&file, &mut table, table_offset)?;
    let mut elf = Elf {
        is_movable: kind == SHARED,
        entry: word(start, 24),
        table: 0,
        segment_count: count as u64,
        segments: Vec::new(),
        interpreter: None,
    };
    for entry in table.chunks_exact(SEGMENT) {
        let segment = Segment {
            flags: quarter(entry, 4),
            offset: word(entry, 8),
            address: word(entry, 16),
            file_size: word(entry, 32),
            memory_size: word(entry, 40),
        };
        match quarter(entry, 0) {
            LOAD => {
                segment.check()?;
                if (segment.offset..segment.offset + segment.file_size).contains(&table_offset) {
                    elf.table = segment.address.wrapping_add(table_offset - segment.offset);
                }
                elf.segments.push(segment);
            }
            INTERPRETER => elf.interpreter = Some(interpreter(&file, &segment)?),
            _ => {}
        }
    }
    if elf.segments.is_empty() && elf.interpreter.is_none() { Err(no_program) } else { Ok(elf) }
}

impl Segment {
    fn check(&self) -> Result<(), Unfit> {
        let fits = |begin: u64, length: u64| begin.checked_add(length).is_some_and(|end| end < 1 << 47);
        let is_sound = self.file_size <= self.memory_size
            && fits(self.offset, self.file_size)
            && fits(self.address, self.memory_size)
            && self.offset % PAGE == self.address % PAGE;
        if is_sound { Ok(()) } else { Err(Unfit::Errno(Errno::NOEXEC)) }
    }
}

fn interpreter(file: impl AsFd, segment: &Segment) -> Result<Vec<u8>, Unfit> {
    let no_program = || Unfit::Errno(Errno::NOEXEC);
    let length = usize::try_from(segment.file_size).ok().filter(|length| (2..=4096).contains(length));
    let mut path = vec![0; length.ok_or_else(no_program)?];
    read_exactly(file, &mut path, segment.offset)?;
    let end = path.iter().position(|byte| *byte == 0).ok_or_else(no_program)?;
    path.truncate(end);
    Ok(path)
}

fn read_exactly(file: impl AsFd, to: &mut [u8], offset: u64) -> Result<(), Unfit> {
    if pread(file, &mut *to, offset)? == to.len() { Ok(()) } else { Err(Unfit::Errno(Errno::NOEXEC)) }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|word| word.try_into().ok()).map_or(0, u64::from_le_bytes)
}

fn quarter(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn half(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|word| word.try_into().ok()).map_or(0, u16::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &[u8]) -> Option<(String, Option<String>)> {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        match script(line)? {
            Image::Script { interpreter, argument } => Some((text(interpreter), argument.map(text))),
            Image::Elf(_) => None,
        }
    }

    #[test]
    fn the_line_of_a_script_has_one_argument() {
        let sh = |argument: Option<&str>| Some(("/bin/sh".to_owned(), argument.map(str::to_owned)));
        assert_eq!(parsed(b"/bin/sh\necho"), sh(None));
        assert_eq!(parsed(b" \t/bin/sh  -e -u \n"), sh(Some("-e -u")));
        assert_eq!(parsed(b"/bin/sh"), sh(None));
        assert_eq!(parsed(b"\n"), None);
        assert_eq!(parsed(b"  \n"), None);
    }

    #[test]
    fn what_the_kernel_makes_of_odd_lines() {
        let script =
            |name: &str, argument: Option<&str>| Some((name.to_owned(), argument.map(str::to_owned)));
        assert_eq!(parsed(b""), script("", None));
        assert_eq!(parsed(b"/bin/sh "), script("/bin/sh", Some("")));
        assert_eq!(parsed(b"/bin/sh\0-e\n"), script("/bin/sh", None));
        assert_eq!(parsed(b"/bin/sh -e\0-u\n"), script("/bin/sh", Some("-e")));
        assert_eq!(parsed(&[b'x'; START - 2]), None);
        let long = [b"/bin/sh ", &[b'x'; START - 10][..]].concat();
        assert_eq!(parsed(&long), script("/bin/sh", Some(&"x".repeat(START - 11))));
    }

    #[test]
    fn broken_programs_are_no_programs() {
        let program = std::fs::read("/proc/self/exe").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("program");
        for cut in [0, 3, 17, 63, 64, 100, 300] {
            std::fs::write(&path, &program[..cut]).unwrap();
            assert!(Image::read(std::fs::File::open(&path).unwrap()).is_err(), "{cut}");
        }
        for at in 0..512 {
            let mut changed = program[..4096].to_vec();
            changed[at] = 0xff;
            std::fs::write(&path, &changed).unwrap();
            drop(Image::read(std::fs::File::open(&path).unwrap()));
        }
    }
}
