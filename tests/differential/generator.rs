//! Containerfiles out of numbers: the same number gives the same file on every machine.

use std::fmt::Write as _;

use crate::context::IGNORE;

/// From this number on, cases are of mounts.
const MOUNTS: u64 = 240;

const BINDS: &[&str] = &[
    "target=/mnt",
    "type=bind,source=d,target=/mnt",
    "type=bind,src=/d/e/,ro,target=/mnt/in",
    "source=d/../many,target=/mnt",
    "source=a,target=/mnt/file",
    "source=link,target=/mnt/file",
    "source=linkdir,target=/mnt",
    "from=localhost/base:1,source=/old,target=/mnt",
    "from=localhost/base:1,source=/link,target=/mnt,readonly",
    "type=bind,from=localhost/base:1,source=/old/file,target=/mnt/file",
];

const STAGE_BINDS: &[&str] = &[
    "from=files,source=/made,target=/mnt",
    "type=bind,from=files,src=/s,target=/mnt/in",
    "from=files,source=/made/../old,readonly,target=/mnt/a/b",
];

/// Nothing is written to a bind: buildah 1.28 keeps that in the context.
const BIND_COMMANDS: &[&str] = &[
    "find TARGET | sort > /seen; cat $(find TARGET -type f | sort) > /all",
    "cp -a TARGET /kept",
    "cp -r TARGET /kept",
    "find TARGET -exec stat -c '%n %F %a' {} + | sort > /stats",
    "mkdir TARGET/new || echo refused > /refused",
    "mkdir -p /made/a && ln -s TARGET /made/a/l",
];

/// In buildah 1.28, a second lock of one build waits for the first one for ever.
const CACHES: &[&str] = &[
    "type=cache,id=CACHE,target=/cache",
    "type=cache,id=CACHE,target=/cache/",
    "type=cache,id=CACHE-2,target=/cache,mode=0700,uid=7,gid=8",
    "type=cache,id=CACHE,target=/mnt/cache,sharing=shared",
];

const CACHE_COMMANDS: &[&str] = &[
    "echo x >> TARGET/log && cat TARGET/log > /log",
    "mkdir -p TARGET/a/b; find TARGET | sort > /cached",
    "stat -c '%a %u:%g' TARGET > /stats",
    "rm -rf TARGET/*; touch TARGET/$V",
    "cp -a TARGET /kept",
];

const TMPFS: &[&str] = &[
    "type=tmpfs,target=/mnt",
    "type=tmpfs,target=/old/sub",
    "type=tmpfs,tmpfs-size=64k,target=/mnt/a/b",
    "type=tmpfs,tmpfs-mode=1700,target=/mnt",
    "type=tmpfs,ro,target=/mnt",
];

const TMPFS_COMMANDS: &[&str] = &[
    "find TARGET | sort > /seen",
    "touch TARGET/new; find TARGET | sort > /seen",
    "stat -c '%a %u:%g' TARGET > /stats",
    "dd if=/dev/zero of=TARGET/big bs=1k count=100; cp -r TARGET /kept",
];

const SECRETS: &[&str] = &[
    "type=secret,id=key",
    "type=secret,id=key,target=/mnt/key",
    "type=secret,id=key,mode=0444,uid=7,gid=8,target=/run/key",
    "type=secret,id=none",
    "type=secret,id=none,required=true",
];

const SECRET_COMMANDS: &[&str] = &[
    "wc -c TARGET > /size; true",
    "stat -c '%a %u:%g %s' TARGET > /stats; true",
    "ls /run/secrets > /seen; true",
];

/// One Containerfile and the ignore file that goes with it.
#[derive(Debug)]
pub(crate) struct Case {
    /// What it was made of.
    pub(crate) number: u64,
    /// The text.
    pub(crate) containerfile: String,
    /// The name of a file of [`IGNORE`].
    pub(crate) ignore_file: Option<&'static str>,
}

impl Case {
    /// The case of this number.
    pub(crate) fn new(number: u64) -> Self {
        let mut dice = Dice(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut text = String::from("ARG GLOBAL=global\n");
        let from_stage = dice.one_in(3);
        if from_stage {
            let (command, place) = (dice.stage_command(), dice.choose(&["/s", "/s/t", "/s/"]));
            writeln!(text, "FROM localhost/base:1 AS files\nCOPY d {place}\nRUN {command}").unwrap();
        }
        let mounts = number >= MOUNTS;
        let based = mounts || !dice.one_in(3);
        writeln!(text, "FROM {}", if based { "localhost/base:1" } else { "scratch" }).unwrap();
        for _ in 0..3 + dice.below(5) {
            let line = match dice.below(12) {
                0..=7 if mounts => dice.mount(from_stage).replace("CACHE", &format!("cache-{number}")),
                0..=4 => dice.copy(from_stage),
                5 => dice.add(),
                6 if based => format!("RUN {}", dice.command()),
                _ => dice.setting(),
            };
            writeln!(text, "{line}").unwrap();
        }
        let ignore_file = dice.one_in(4).then(|| IGNORE[dice.below(IGNORE.len())].0);
        Self { number, containerfile: text, ignore_file }
    }
}

/// Numbers that look like chance, by the method of xorshift*.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn choose(&mut self, words: &[&'static str]) -> &'static str {
        words[self.below(words.len())]
    }

    /// Flags of both COPY and ADD, each with a blank behind it.
    fn flags(&mut self) -> String {
        let mut flags = String::new();
        if self.one_in(4) {
            let owner = self.choose(&["7", "7:8", "0:9", "1000:50", "4000000:3"]);
            write!(flags, "--chown={owner} ").unwrap();
        }
        if self.one_in(5) {
            let mode = self.choose(&["0644", "755", "4755", "1777", "0400"]);
            write!(flags, "--chmod={mode} ").unwrap();
        }
        flags
    }

    fn copy(&mut self, from_stage: bool) -> String {
        let flags = self.flags();
        if from_stage && self.one_in(2) {
            let source = self.choose(&[
                "/s",
                "/s/",
                "/s/t",
                "/old",
                "/old/file",
                "/made",
                "/made/*",
                "/link",
                "/etc/passwd",
            ]);
            let target = self.choose(&["/from/", "/old/", "/x", "/new/deep/er/", "rel/", "/link/"]);
            return format!("COPY {flags}--from={} {source} {target}", self.choose(&["files", "0"]));
        }
        let (sources, target) = if self.one_in(2) {
            let sources = self.choose(&[
                "a",
                "b.txt",
                "empty program",
                "a b.txt d",
                "d",
                "d/",
                "d/*",
                "d/e",
                "link",
                "linkdir",
                "d/l d/b",
                "*.txt",
                "many",
                "many/*",
                "many/*/x?",
                ".hidden",
                "d/void",
                "star[[]1]",
                "d/b d/hard",
                "./d/../a",
                "/d/e/",
                "d d/e",
            ]);
            (
                sources,
                self.choose(&["/in/", "/old/", "/old/sub/", "/link/", "/new/deep/er/", "rel/", "./", "/"]),
            )
        } else {
            let source = self.choose(&["a", "program", "link", "d/l", "d/hard", "d/c.txt", "ünï", "empty"]);
            (
                source,
                self.choose(&[
                    "/file",
                    "/in/name",
                    "/old/file",
                    "/old/new",
                    "/link/a",
                    "rel",
                    "/old/absolute/z",
                ]),
            )
        };
        if self.one_in(8) {
            return format!("COPY {flags}[\"with space\", \"a\", \"{}/\"]", target.trim_end_matches('/'));
        }
        format!("COPY {flags}{sources} {target}")
    }

    fn add(&mut self) -> String {
        let flags = self.flags();
        let source =
            self.choose(&["plain.tar", "t.tar.gz", "t.bz2", "t.txz", "t.zst", "b.txt.gz", "a", "d", "link"]);
        format!(
            "ADD {flags}{source} {}",
            self.choose(&["/add/", "/old/", "/link/", "/old/sub/", "rel/", "/in/"])
        )
    }

    /// What makes files that are copied from the stage.
    fn stage_command(&mut self) -> &'static str {
        self.choose(&[
            "mkdir /made && echo 1 > /made/1 && ln /made/1 /made/2 && chown 1:2 /made/1",
            "mkdir -p /made/in && ln -s in /made/link && chmod 700 /made/in && chown -R 9:9 /made",
            "mkdir /made && touch /made/t && chmod 6755 /made/t && chmod 1777 /made && ln -s /old /made/away",
            "cp -a /s /made && rm -rf /s/e && chown -h 5:5 /s/l",
        ])
    }

    fn command(&mut self) -> &'static str {
        self.choose(&[
            "rm -rf /old && mkdir /old && echo again > /old/again",
            "rm /old/file",
            "chmod 600 /old/file; chown 8:8 /old",
            "mv /old /moved && ln -s moved /old",
            "mkdir -p /run-made/a/b && echo $BASE-$V > /run-made/a/b/c && ln /run-made/a/b/c /run-made/d",
            "rm /link && mkdir /link && touch /link/now-a-directory",
            "pwd > /where; id -u > /who",
            "true",
            "[ -e /old/same ] && echo more >> /old/same",
            "ln /old/file /deep/hard; touch -d @1000000000 /old/dated",
        ])
    }

    /// A RUN with mounts.
    fn mount(&mut self, from_stage: bool) -> String {
        let (mounts, commands) = match self.below(7) {
            0 | 1 if from_stage => (STAGE_BINDS, BIND_COMMANDS),
            0..=2 => (BINDS, BIND_COMMANDS),
            3 | 4 => (CACHES, CACHE_COMMANDS),
            5 => (TMPFS, TMPFS_COMMANDS),
            _ => (SECRETS, SECRET_COMMANDS),
        };
        let mount = self.choose(mounts);
        let target = mount.split("target=").nth(1).and_then(|rest| rest.split(',').next());
        let command = self.choose(commands).replace("TARGET", target.unwrap_or("/run/secrets/key"));
        let second = if self.one_in(4) { "--mount=type=tmpfs,target=/scratch " } else { "" };
        // A mount without a type has that of the one before it in buildah 1.28.
        format!("RUN --mount={mount} {second}{command}")
    }

    fn setting(&mut self) -> String {
        let line = self.choose(&[
            "ENV V=1 W=\"two words\"",
            "ENV V old form with blanks",
            "ENV V=${V:-unset} X=$V Y='$V' Z=\\$V",
            "ENV PATH=/opt/bin:$PATH",
            "ENV W=${BASE:+set} U=${NONE:-a$BASE}",
            "ENV BASE=",
            "ARG GLOBAL\nENV G=$GLOBAL",
            "ARG V=argument\nENV T=$V",
            "ARG LOCAL=l\nLABEL arg=$LOCAL",
            "LABEL one=1 two=\"2 2\" \"quoted key\"=3",
            "LABEL kept=changed v=$V",
            "LABEL old form",
            "EXPOSE 8080 53/udp",
            "EXPOSE 443/tcp 80",
            "VOLUME /v1 /v2",
            "VOLUME [\"/old\", \"/v 3\"]",
            "USER 1000",
            "USER user",
            "USER user:staff",
            "USER 7:8",
            "USER 0",
            "WORKDIR /w",
            "WORKDIR rel/dir",
            "WORKDIR /old/sub/new",
            "WORKDIR $V/x",
            "WORKDIR /w/./y/../z",
            "CMD echo $HOME",
            "CMD [\"a\", \"b c\"]",
            "CMD []",
            "ENTRYPOINT [\"e\"]",
            "ENTRYPOINT exec run me",
            "ENTRYPOINT []",
            "SHELL [\"/bin/busybox\", \"sh\", \"-c\"]",
            "STOPSIGNAL SIGTERM",
            "STOPSIGNAL 9",
            "HEALTHCHECK --interval=5s --timeout=2m --start-period=1h --retries=4 CMD true",
            "HEALTHCHECK CMD [\"check\", \"it\"]",
            "HEALTHCHECK NONE",
            "ONBUILD COPY a /b",
            "ONBUILD RUN echo $V",
            "MAINTAINER someone <at@home>",
        ]);
        line.to_owned()
    }
}
