//! What the kernel tells of a thread in one line (`proc_pid_stat(5)`).

use std::fs::File;
use std::io::Read;
use std::str::FromStr;

/// The line is shorter, so that it is read at once.
const SIZE: usize = 4096;

/// That line without its first two fields.
pub(super) struct ThreadStat(String);

impl ThreadStat {
    /// Of thread `tid`; none if it is gone.
    pub(super) fn read(tid: i32) -> Option<Self> {
        let mut line = vec![0; SIZE];
        let length = File::open(format!("/proc/{tid}/stat")).ok()?.read(&mut line).ok()?;
        // The second field may hold anything but ends with the last parenthesis.
        let begin = line[..length].iter().rposition(|byte| *byte == b')')? + 1;
        String::from_utf8(line[begin..length].to_vec()).ok().map(Self)
    }

    /// A field by its number in the manual, from 3 on.
    pub(super) fn field<T: FromStr>(&self, number: usize) -> Option<T> {
        self.0.split_ascii_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_the_numbers_of_the_manual() {
        let stat = ThreadStat(" S 1 2 -3 x".to_owned());
        assert_eq!(stat.field::<char>(3), Some('S'));
        assert_eq!(stat.field::<i32>(6), Some(-3));
        assert_eq!((stat.field::<i32>(7), stat.field::<i32>(8), stat.field::<i32>(2)), (None, None, None));
    }
}
