//! The fields of SSH messages and key files: lengths, strings and numbers (RFC 4251, section 5).

/// Reads fields one after the other; `None` when the bytes end too early.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (field, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(field)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(super) fn number(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(length as usize)
    }

    /// A whole number that is not negative, without leading zeros.
    pub(super) fn integer(&mut self) -> Option<&'a [u8]> {
        let bytes = self.string()?;
        if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
            return None;
        }
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        Some(&bytes[zeros..])
    }
}

/// Appends a string.
pub(super) fn put_string(to: &mut Vec<u8>, string: &[u8]) {
    to.extend((string.len() as u32).to_be_bytes());
    to.extend(string);
}

/// Appends a whole number, given by its bytes, the highest first.
pub(super) fn put_integer(to: &mut Vec<u8>, bytes: &[u8]) {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = &bytes[zeros..];
    let sign: &[u8] = if digits.first().is_some_and(|byte| byte & 0x80 != 0) { &[0] } else { &[] };
    put_string(to, &[sign, digits].concat());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_read() {
        let mut bytes = Vec::new();
        put_string(&mut bytes, b"text");
        put_integer(&mut bytes, &[0, 0, 0x80]);
        put_integer(&mut bytes, &[0]);
        assert_eq!(bytes, b"\0\0\0\x04text\0\0\0\x02\0\x80\0\0\0\0");
        let mut fields = Fields(&bytes);
        assert_eq!(fields.string(), Some(&b"text"[..]));
        assert_eq!(fields.integer(), Some(&[0x80][..]));
        assert_eq!(fields.integer(), Some(&[][..]));
        assert_eq!(fields.byte(), None);
        assert_eq!(Fields(&[255; 8]).string(), None);
    }
}
