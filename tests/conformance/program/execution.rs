//! `execve` and its like: what can be executed, as what it finds itself, and what it inherits.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::thread;

use nix::fcntl::AtFlags;
use nix::unistd::{execv, execve, execveat, fexecve};
use rustix::fs::OFlags as O;
use rustix::io::{FdFlags, fcntl_setfd};

use super::PROGRAM;
use super::actors::{part, program};
use super::calls::{chmod, mkdir, open};
use super::report::{acting_as, tell};

/// A copy of this program among the theme's files.
const COPY: &str = "/t/execution/bin/conformance";

pub(crate) fn run() {
    mkdir("bin", 0o755).unwrap();
    fs::copy(PROGRAM, COPY).unwrap();
    programs();
    names_and_arguments();
    scripts();
    odd_scripts();
    images();
    busy();
    inheritance();
    for how in HOWS {
        tell!("execute {how}" => part(&["execute", how]).status());
    }
}

fn script(name: &str, text: impl AsRef<[u8]>) {
    fs::write(name, text).unwrap();
    chmod(name, 0o755).unwrap();
}

fn show(path: &str) -> std::io::Result<std::process::ExitStatus> {
    program(path, &["show", "arguments"]).status()
}

fn programs() {
    fs::write("not-executable", "#!/conformance\n").unwrap();
    script("empty", "");
    script("text", "just text\n");
    for (target, link) in [(COPY, "link"), ("nothing", "dangling"), ("loop", "loop"), ("bin", "to-bin")] {
        symlink(target, link).unwrap();
    }
    let paths =
        ["bin/conformance", "./bin/conformance", "link", "./link", "./to-bin/conformance", "/proc/self/exe"];
    let wrong =
        ["./missing", "./not-executable", "./empty", "./text", "./bin", "./dangling", "./loop", "./text/x"];
    let more = ["./bin/conformance/", "/dev/null", "/", ""];
    for path in paths.into_iter().chain(wrong).chain(more) {
        tell!("execute {path:?}" => show(path));
    }
}

fn names_and_arguments() {
    let arguments = ["show", "arguments", "", "two words", "new\nline", "\u{fc}ber"];
    tell!("with odd arguments" => program(COPY, &arguments).status());
    tell!("with another name" => part(&["show", "arguments"]).arg0("/x/y/conformance").status());
    tell!("with an environment" => part(&["show", "arguments"]).env_clear().env("A", "b").status());
    tell!("with 200 KiB in one argument" => part(&["show", &"x".repeat(200 << 10)]).status());
    let many = vec!["x"; 20_000];
    tell!("with 20,000 arguments" => part(&["exit", "7"]).args(&many).status());
    tell!("exit 0" => part(&["exit", "0"]).status());
    tell!("exit 255" => part(&["exit", "255"]).status());
    tell!("abort" => part(&["abort"]).stderr(Stdio::null()).status());
}

fn scripts() {
    script("plain", "#!/conformance\n");
    script("one-argument", "#!/conformance show\n");
    script("blanks", "#! \t/conformance   show arguments  \n");
    script("no-newline", "#!/conformance show");
    script("relative", "#!bin/conformance show\n");
    script("by-link", "#!link show\n");
    script("nested", "#!one-argument arguments\n");
    for name in ["plain", "one-argument", "blanks", "no-newline", "relative", "by-link", "nested"] {
        let path = format!("./{name}");
        tell!("script {name} with show arguments" => show(&path));
        tell!("script {name} with arguments" => program(&path, &["arguments", "x"]).status());
    }
    tell!("by absolute name" => program("/t/execution/one-argument", &["arguments"]).status());
    symlink("one-argument", "to-script").unwrap();
    tell!("by link" => program("./to-script", &["arguments"]).status());
    tell!("in another directory" => program("../relative", &["arguments"]).current_dir("bin").status());
    tell!("with another name" => program("./one-argument", &["arguments"]).arg0("name").status());
}

fn odd_scripts() {
    script("missing-interpreter", "#!/missing\n");
    script("directory-interpreter", "#!/t\n");
    script("closed-interpreter", "#!/t/execution/not-executable\n");
    script("text-interpreter", "#!/t/execution/text\n");
    script("nothing", "#!");
    script("only-blanks", "#!   \n");
    script("carriage-return", "#!/conformance\r\n");
    script("zero", b"#!/conformance\0show\n");
    script("itself", "#!/t/execution/itself\n");
    script("long", format!("#!/conformance {}\n", "x".repeat(300)));
    script("long-name", format!("#!/{}/conformance show\n", "./".repeat(150)));
    let names =
        ["missing-interpreter", "directory-interpreter", "closed-interpreter", "text-interpreter", "nothing"];
    let more = ["only-blanks", "carriage-return", "zero", "itself", "long", "long-name"];
    for name in names.into_iter().chain(more) {
        tell!("script {name}" => program(&format!("./{name}"), &["show", "arguments"]).status());
    }
    script("nest0", "#!/conformance show\n");
    for number in 1..=6 {
        script(&format!("nest{number}"), format!("#!/t/execution/nest{} arguments\n", number - 1));
        tell!("{number} times nested" => program(&format!("./nest{number}"), &["x"]).status());
    }
}

/// The beginnings of an ELF file for x86-64, with one program header.
fn elf(class: u8, machine: u16, interpreter: &[u8]) -> Vec<u8> {
    let mut file = vec![0x7f, b'E', b'L', b'F', class, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let half = |file: &mut Vec<u8>, value: u16| file.extend(value.to_le_bytes());
    let long = |file: &mut Vec<u8>, value: u64| file.extend(value.to_le_bytes());
    half(&mut file, 3); // ET_DYN
    half(&mut file, machine);
    file.extend(1_u32.to_le_bytes());
    long(&mut file, 0); // entry
    long(&mut file, 64); // program headers
    long(&mut file, 0); // section headers
    file.extend(0_u32.to_le_bytes());
    for value in [64, 56, 1, 0, 0, 0] {
        half(&mut file, value);
    }
    file.extend(3_u32.to_le_bytes()); // PT_INTERP
    file.extend(4_u32.to_le_bytes());
    for value in [120, 0, 0, interpreter.len() as u64, interpreter.len() as u64, 1] {
        long(&mut file, value);
    }
    file.extend(interpreter);
    file
}

fn images() {
    let whole = elf(2, 62, b"/missing/ld.so\0");
    script("no-loader", &whole);
    script("headless", &whole[..100]);
    script("magic-only", &whole[..4]);
    script("other-machine", elf(2, 183, b"/missing/ld.so\0"));
    script("loader-is-text", elf(2, 62, b"/t/execution/text\0"));
    script("loader-is-directory", elf(2, 62, b"/t\0"));
    script("loader-is-closed", elf(2, 62, b"/t/execution/not-executable\0"));
    script("unended-loader", elf(2, 62, b"/missing/ld.so"));
    let names =
        ["no-loader", "headless", "magic-only", "other-machine", "loader-is-text", "loader-is-directory"];
    for name in names.into_iter().chain(["loader-is-closed", "unended-loader"]) {
        tell!("image {name}" => show(&format!("./{name}")));
    }
}

/// What is open for writing is not executed, and what is executed is not written.
fn busy() {
    let writer = open(COPY, O::RDWR);
    tell!("open a copy for writing" => writer.as_ref().map(|_| ()).map_err(|error| *error));
    tell!("execute what is open for writing" => show(COPY));
    drop(writer);
    let mut child = program(COPY, &["wait"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    tell!("write to what is executed" => open(COPY, O::WRONLY));
    tell!("truncate what is executed" => nix::unistd::truncate(COPY, 0));
    drop(child.stdin.take());
    tell!(child.wait());
    // What was closed is not open for writing any more, whoever else had a hand in it.
    let at_once = (0..50).filter(|_| {
        fs::remove_file("fresh").ok();
        script("fresh", "#!/conformance exit\n");
        program("./fresh", &[]).arg0("x").stdout(Stdio::null()).status().is_ok()
    });
    tell!("scripts executed as soon as they were written" => Ok::<_, io::Error>(at_once.count()));
}

fn inheritance() {
    let kept = File::open("text").unwrap();
    let closed = File::open("text").unwrap();
    fcntl_setfd(&kept, FdFlags::empty()).unwrap();
    tell!("descriptors that stay" => part(&["show", "descriptors"]).stdin(Stdio::null()).status());
    drop((kept, closed));
    tell!("descriptors" => part(&["show", "descriptors"]).stdin(Stdio::piped()).status());
    tell!("of a thread" => thread::scope(|scope| {
        scope.spawn(|| part(&["show", "arguments"]).status()).join().unwrap()
    }));
}

/// The ways to become another program, each tried by a process of its own.
const HOWS: [&str; 13] = [
    "execv",
    "execve without arguments",
    "fexecve",
    "fexecve of what closes",
    "fexecve of a script",
    "fexecve of a script that closes",
    "execveat",
    "execveat of a link",
    "execveat of a link, not followed",
    "execveat of the empty name",
    "execveat of nothing",
    "from a thread",
    "of what is gone",
];

/// A part: becomes `show arguments` in this way.
pub(crate) fn execute(how: &str) {
    acting_as(how);
    let text = |text: &str| CString::new(text).expect("no zero in it");
    let arguments = ["conformance", "show", "arguments"].map(text);
    let none: [CString; 0] = [];
    let file = |path: &str, closes: bool| {
        let file = open(path, O::PATH).unwrap();
        fcntl_setfd(&file, if closes { FdFlags::CLOEXEC } else { FdFlags::empty() }).unwrap();
        file
    };
    let at =
        |path: &str, flags| execveat(file("bin", true), &text(path), &arguments, &none, flags).map(|_| ());
    let result = match how {
        "execv" => execv(&text(COPY), &arguments).map(|_| ()),
        "execve without arguments" => execve(&text("./one-argument"), &none, &none).map(|_| ()),
        "fexecve" => fexecve(file(COPY, false), &arguments, &none).map(|_| ()),
        "fexecve of what closes" => fexecve(file(COPY, true), &arguments, &none).map(|_| ()),
        "fexecve of a script" => fexecve(file("one-argument", false), &arguments[1..], &none).map(|_| ()),
        "fexecve of a script that closes" => {
            fexecve(file("one-argument", true), &arguments[1..], &none).map(|_| ())
        }
        "execveat" => at("conformance", AtFlags::empty()),
        "execveat of a link" => at("../link", AtFlags::empty()),
        "execveat of a link, not followed" => at("../link", AtFlags::AT_SYMLINK_NOFOLLOW),
        "execveat of the empty name" => {
            execveat(file(COPY, true), c"", &arguments, &none, AtFlags::AT_EMPTY_PATH).map(|_| ())
        }
        "execveat of nothing" => at("missing", AtFlags::empty()),
        "from a thread" => thread::scope(|scope| {
            scope.spawn(|| execv(&text(COPY), &arguments).map(|_| ())).join().expect("a thread that executes")
        }),
        _ => {
            fs::copy(COPY, "brief").unwrap();
            let brief = file("brief", false);
            fs::remove_file("brief").unwrap();
            fexecve(brief, &arguments, &none).map(|_| ())
        }
    };
    tell!("execute" => result);
}
