//! What isolation trace costs: the same steps in both isolations by turns, and how their times compare.
//!
//! `cargo bench --bench isolation` as root; mmdebstrap(1) makes the Debian of it once. A time is what the step itself
//! sees on the clock, the median of some rounds: what is done alike before and after it is left out.
#![expect(clippy::print_stdout, reason = "a table is what it is for")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use test_support::{Debian, TestBuilder};

/// An odd number, for the median.
const ROUNDS: usize = 3;

/// Who has one id.
const USER: u32 = 54_321;

/// A step whose time is taken.
struct Workload {
    name: &'static str,
    script: &'static str,
    /// How often it does what its name says; shown is the time of one.
    count: u32,
}

const WORKLOADS: [Workload; 5] = [
    Workload {
        name: "stat(2)",
        script: "while [ $((i += 1)) -le 20000 ]; do [ -e /etc/passwd ]; done",
        count: 20_000,
    },
    Workload {
        name: "open(2), close(2)",
        script: "while [ $((i += 1)) -le 20000 ]; do : < /etc/passwd; done",
        count: 20_000,
    },
    Workload {
        name: "fork(2), execve(2), wait(2)",
        script: "while [ $((i += 1)) -le 1000 ]; do /bin/true; done",
        count: 1000,
    },
    Workload {
        name: "configure, make",
        script: "cd /project; sh configure; make --jobs=2 --quiet; ./program",
        count: 1,
    },
    Workload {
        name: "apt-get install",
        script: "apt-get install --yes --no-install-recommends /packages/*.deb",
        count: 1,
    },
];

fn main() {
    let debian = Debian::with_compiler(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let new_builder = || TestBuilder::new(env!("CARGO_BIN_EXE_builder"));
    let isolations = [("namespaces", new_builder()), ("trace", new_builder().as_user(USER, USER))];
    for (_, builder) in &isolations {
        prepare(builder, &debian);
    }
    let mut times = WORKLOADS.map(|_| [Vec::new(), Vec::new()]);
    for _ in 0..ROUNDS {
        for (column, (isolation, builder)) in isolations.iter().enumerate() {
            for (time, row) in run(builder, isolation).into_iter().zip(&mut times) {
                row[column].push(time);
            }
        }
    }
    println!("{:28}{:>12}{:>12}{:>8}", "", "namespaces", "trace", "ratio");
    for (workload, times) in WORKLOADS.iter().zip(times) {
        let [plain, traced] = times.map(|times| median(times) / f64::from(workload.count));
        println!("{:28}{:>12}{:>12}{:>8.2}", workload.name, shown(plain), shown(traced), traced / plain);
    }
}

/// Makes the base image and all that the steps copy.
fn prepare(builder: &TestBuilder, debian: &Debian) {
    builder.file("Containerfile", "FROM scratch\nADD root.tar /\n");
    fs::copy(debian.root_fs(), builder.dir().join("root.tar")).expect("copying a root file system");
    builder.run(&["build", "-t", "localhost/debian:1", "."]).success();
    for package in debian.packages() {
        let name = package.file_name().expect("a package has a name");
        builder.file(Path::new("packages").join(name), fs::read(&package).expect("reading a package"));
    }
    add_project(builder);
    let mut containerfile = "FROM localhost/debian:1\nENV DEBIAN_FRONTEND=noninteractive\n\
        COPY packages /packages\nCOPY project /project\n"
        .to_owned();
    for Workload { script, .. } in WORKLOADS {
        let step = format!(
            "RUN <<EOF\nset -e\ni=0\nbegin=$(date +%s%N)\n{script}\n\
             echo nanoseconds: $(($(date +%s%N) - begin))\nEOF\n"
        );
        containerfile.push_str(&step);
    }
    builder.file("Containerfile", containerfile);
}

/// Does all steps anew; how many seconds each took.
fn run(builder: &TestBuilder, isolation: &str) -> Vec<f64> {
    let isolation = format!("--isolation={isolation}");
    let flags = ["--storage-driver=vfs", "--no-cache", "--progress=plain"];
    let output = builder.run(&["build", &isolation, flags[0], flags[1], flags[2], "."]).success();
    let times = output.stderr.lines().filter_map(|line| line.split_once("nanoseconds: "));
    let times: Vec<_> = times.filter_map(|(_, number)| Some(number.parse::<f64>().ok()? / 1e9)).collect();
    assert_eq!(times.len(), WORKLOADS.len(), "each step tells its time\n{output}");
    times
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn shown(seconds: f64) -> String {
    if seconds < 1e-3 {
        format!("{:.1} µs", seconds * 1e6)
    } else if seconds < 1.0 {
        format!("{:.2} ms", seconds * 1e3)
    } else {
        format!("{seconds:.2} s")
    }
}

/// What `configure` does for each header, function and type: about as much as autoconf(1) makes it do.
const CHECKS: &str = r##"
check() {
    printf 'checking for %s... ' "$1"
    macro=HAVE_$(echo "$1" | sed 's/[^a-z0-9]/_/g' | tr a-z A-Z)
    cat > conftest.c
    if gcc $2 conftest.c -o conftest.out 2> conftest.err && ! grep -q error conftest.err; then
        echo yes
        echo "#define $macro 1" >> config.h
    else
        echo no
        echo "/* #undef $macro */" >> config.h
    fi
    rm -f conftest.c conftest.out conftest.err
}
"##;

const HEADERS: &str = "assert ctype errno fcntl float inttypes limits locale math memory poll pthread regex sched \
    signal stdarg stddef stdint stdio stdlib string strings sys/mman sys/stat sys/time sys/types sys/wait termios \
    time unistd wchar windows";

const FUNCTIONS: &str = "atexit bcopy dup2 fchdir fork getcwd getline getpagesize gettimeofday localtime_r memchr \
    memmove mempcpy mkdir mmap munmap nl_langinfo poll putenv realpath regcomp select setenv setlocale sigaction \
    snprintf stpcpy strcasecmp strchr strdup strerror strftime strlcpy strndup strnlen strpbrk strrchr strspn \
    strstr strtol strtoull symlink sysconf tzset uname utime vfork vprintf waitpid";

const SOURCES: usize = 60;

/// Adds a project in C as many are: a script that asks what the system has, and sources of some functions each.
fn add_project(builder: &TestBuilder) {
    let mut configure = format!("set -e\n: > config.h\n{CHECKS}");
    for header in HEADERS.split_whitespace() {
        writeln!(configure, "check {header}.h -E <<END\n#include <{header}.h>\nEND").expect("memory");
    }
    for name in FUNCTIONS.split_whitespace() {
        let program = format!("char {name}(void);\nint main(void) {{ return {name}(); }}");
        writeln!(configure, "check {name} <<END\n{program}\nEND").expect("memory");
    }
    builder.file("project/configure", configure);
    let mut main = "#include <stdio.h>\n".to_owned();
    let mut sum = "0".to_owned();
    for number in 0..SOURCES {
        builder.file(format!("project/part{number}.c"), source(number));
        writeln!(main, "int part{number}(const char *text);").expect("memory");
        write!(sum, " + part{number}(\"text\")").expect("memory");
    }
    writeln!(main, "int main(void) {{ printf(\"%d\\n\", {sum}); return 0; }}").expect("memory");
    builder.file("project/main.c", main);
    builder.file(
        "project/Makefile",
        "objects = $(patsubst %.c,%.o,$(sort $(wildcard *.c)))\nCFLAGS = -O2 -Wall\n\
        program: libparts.a main.o\n\t$(CC) main.o libparts.a -o $@\n\
        libparts.a: $(filter part%,$(objects))\n\t$(AR) rcs $@ $^\n\
        %.o: %.c config.h\n\t$(CC) $(CFLAGS) -c $< -o $@\n",
    );
}

fn source(number: usize) -> String {
    let mut text = "#include <ctype.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n\
        #include <unistd.h>\n#include \"config.h\"\n"
        .to_owned();
    let mut sum = "0".to_owned();
    for function in 0..20 {
        writeln!(
            text,
            "static int f{function}(const char *text) {{\n    char copy[64];\n    int sum = {function};\n    \
            snprintf(copy, sizeof copy, \"%s{function}\", text);\n    for (size_t i = 0; i < strlen(copy); i++) {{\n        \
            if (isalpha((unsigned char)copy[i])) sum += toupper((unsigned char)copy[i]);\n        \
            else sum ^= atoi(copy + i);\n    }}\n    return sum;\n}}"
        )
        .expect("memory");
        write!(sum, " + f{function}(text)").expect("memory");
    }
    writeln!(text, "int part{number}(const char *text) {{ return {sum}; }}").expect("memory");
    text
}
