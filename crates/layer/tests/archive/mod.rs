//! Archives built block by block, so that they can be as wrong as an attacker wants them.

#![allow(dead_code, reason = "each test file uses a part")]

/// An archive under construction.
#[derive(Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
}

impl Archive {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// An entry of any type with any content, 0644 (directories 0755), root's, time 0.
    pub(crate) fn entry(self, flag: u8, name: &str, link: &str, content: &[u8]) -> Self {
        self.header(flag, name, link, content.len() as u64, |_| ()).raw(content)
    }

    pub(crate) fn file(self, name: &str, content: &str) -> Self {
        self.entry(b'0', name, "", content.as_bytes())
    }

    pub(crate) fn dir(self, name: &str) -> Self {
        self.entry(b'5', name, "", b"")
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(b'2', name, target, b"")
    }

    pub(crate) fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(b'1', name, target, b"")
    }

    /// A header alone, changed by `edit` before its checksum is computed.
    pub(crate) fn header(
        mut self,
        flag: u8,
        name: &str,
        link: &str,
        size: u64,
        edit: impl FnOnce(&mut [u8; 512]),
    ) -> Self {
        let mut header = [0; 512];
        header[..name.len().min(100)].copy_from_slice(&name.as_bytes()[..name.len().min(100)]);
        header[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header[156] = flag;
        octal(&mut header[100..108], if flag == b'5' { 0o755 } else { 0o644 });
        octal(&mut header[108..116], 0);
        octal(&mut header[116..124], 0);
        octal(&mut header[124..136], size);
        octal(&mut header[136..148], 0);
        header[257..265].copy_from_slice(b"ustar\x0000");
        edit(&mut header);
        header[148..156].copy_from_slice(b"        ");
        let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
        octal(&mut header[148..155], sum);
        self.bytes.extend_from_slice(&header);
        self
    }

    /// Bytes, filled up to a whole block.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    /// An extended header for the next entry.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let data: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value)).collect();
        self.entry(b'x', "PaxHeaders/x", "", &data)
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&[0; 1024]);
        self.bytes
    }

    /// Ends the archive where it is.
    pub(crate) fn cut(self) -> Vec<u8> {
        self.bytes
    }
}

pub(crate) fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let bare = key.len() + value.len() + 3;
    let mut length = bare + 1;
    while length.to_string().len() + bare != length {
        length += 1;
    }
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

pub(crate) fn octal(field: &mut [u8], value: u64) {
    let width = field.len() - 1;
    field[..width].copy_from_slice(format!("{value:0width$o}").as_bytes());
    field[width] = 0;
}
