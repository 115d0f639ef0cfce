//! Many calls on few names, in an order that chance chose once and for all: what one call leaves behind the next ones
//! find, so that nothing may be remembered wrongly of a path.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::{env, io};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::calls::lstat;
use super::report::tell;

/// How many sequences there are, each in a directory of its own, and of how many calls.
const SEQUENCES: u64 = 40;
const CALLS: usize = 150;

/// The directories of a sequence hold no other names. Some of each sequence's paths lead above its own directory.
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

pub(crate) fn run() {
    for number in 0..SEQUENCES {
        let own = PathBuf::from(format!("/t/sequences/{number}"));
        fs::create_dir_all(&own).unwrap();
        env::set_current_dir(&own).unwrap();
        Sequence { own, chance: number * 7919 + 13, made: 0 }.run();
        env::set_current_dir("/").unwrap();
        for above in ["/", "/t", "/t/sequences"].map(PathBuf::from) {
            for name in NAMES {
                let left = above.join(name);
                // There is none, mostly.
                drop(fs::remove_file(&left));
                drop(fs::remove_dir_all(&left));
            }
        }
    }
}

struct Sequence {
    own: PathBuf,
    chance: u64,
    made: usize,
}

impl Sequence {
    fn run(&mut self) {
        for _ in 0..CALLS {
            let call = self.below(14);
            let (one, other) = (self.path(), self.path());
            match call {
                0 | 1 => drop(tell!("create_dir({one:?})" => fs::create_dir(&one))),
                2 => drop(tell!("remove_dir({one:?})" => fs::remove_dir(&one))),
                3 => drop(tell!("remove_file({one:?})" => fs::remove_file(&one))),
                4 | 5 => drop(tell!("make({one:?})" => self.make(&one))),
                6 | 7 => drop(tell!("symlink({one:?}, {other:?})" => symlink(&one, &other))),
                8 => drop(tell!("rename({one:?}, {other:?})" => fs::rename(&one, &other))),
                9 => drop(tell!("exchange({one:?}, {other:?})" => exchange(&one, &other))),
                10 => drop(tell!("hard_link({one:?}, {other:?})" => fs::hard_link(&one, &other))),
                11 => drop(tell!("set_current_dir({one:?})" => env::set_current_dir(&one))),
                12 => drop(tell!("lstat({one:?})" => lstat(&one).map(|stat| stat.st_mode))),
                _ => drop(tell!("read({one:?})" => fs::read_to_string(&one))),
            }
        }
    }

    /// Makes a file whose content says when.
    fn make(&mut self, path: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
        self.made += 1;
        write!(file, "{}", self.made)
    }

    fn path(&mut self) -> String {
        let count = 1 + self.below(4);
        let mut names = Vec::new();
        if self.below(3) == 0 {
            names.push(self.own.to_str().unwrap().to_owned());
        }
        for _ in 0..count {
            let name = match self.below(9) {
                6 | 7 => "..",
                8 => ".",
                chosen => NAMES[chosen % NAMES.len()],
            };
            names.push(name.to_owned());
        }
        names.join("/")
    }

    /// The same numbers on every machine (a linear congruential generator).
    fn below(&mut self, limit: usize) -> usize {
        self.chance =
            self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.chance >> 33).unwrap_or(0) % limit
    }
}

fn exchange(one: &str, other: &str) -> rustix::io::Result<()> {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)
}
