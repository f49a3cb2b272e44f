//! `heddle test --coverage`: which lines count, how often each was run, and the two ways in which that is told.

use std::fs;
use std::path::{Path, PathBuf};

mod support;
use support::{Outcome, Program};

/// A folder of its own with these files.
fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("coverage-{name}"));
    let _ = fs::remove_dir_all(&folder);
    for (file, text) in files {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().expect("it is in the folder"))
            .expect("folders can be made");
        fs::write(path, text).expect("a file can be written");
    }
    folder
}

fn test(folder: &Path, arguments: &[&str]) -> Outcome {
    let program = Program::heddle().folder(folder).arg("test");
    program.args(arguments.iter().copied()).run()
}

/// Lines and counts of a trace: `DA:3,1`.
fn counts(trace: &str) -> Vec<(usize, u64)> {
    let lines = trace.lines().filter_map(|line| line.strip_prefix("DA:"));
    lines
        .map(|line| {
            let (line, count) = line.split_once(',').expect("a line and a count");
            (
                line.parse().expect("a number"),
                count.parse().expect("a number"),
            )
        })
        .collect()
}

/// Runs the tests of a program. Behind each line that has code stands how often it is run: `#: 3`.
#[track_caller]
fn check(name: &str, text: &str) {
    let folder = folder(name, &[("program.hd", text)]);
    let outcome = test(&folder, &["--format=json", "--coverage=lcov"]);
    let mut faults = String::new();
    outcome.check_exit(0, &mut faults);
    assert!(faults.is_empty(), "{faults}\n{}", outcome.stdout);
    let trace = fs::read_to_string(folder.join("lcov.info")).expect("there is a trace");
    let expected: Vec<(usize, u64)> = text
        .lines()
        .enumerate()
        .filter_map(|(index, line)| {
            let (_, count) = line.split_once("#: ")?;
            Some((index + 1, count.trim().parse().expect("a number")))
        })
        .collect();
    assert_eq!(counts(&trace), expected, "{trace}");
}

#[test]
fn statements_branches_and_loops() {
    check(
        "statements",
        r#"
fn sign(n) {                    #: 3
    if n < 0 {                  #: 3
        return -1               #: 1
    } else if n == 0 {          #: 2
        0                       #: 0
    } else {
        let one = 1             #: 2
        one                     #: 2
    }
}
fn never(n) {                   #: 0
    n + 1                       #: 0
}
fn turns(n) {                   #: 1
    var sum = 0                 #: 1
    for i in 0..n {             #: 1
        if i == 2 {             #: 5
            continue            #: 1
        }
        sum += i                #: 4
    }
    while sum > 0 {             #: 9
        sum -= 1                #: 8
    }
    loop {                      #: 1
        break                   #: 1
    }
    match n {                   #: 1
        5 => "five"             #: 1
        6 => {                  #: 0
            "six"               #: 0
        }
        _ => "more"             #: 0
    }
}
let both = sign(1) > 0 and      #: 1
    sign(2) > 0 and             #: 1
    sign(-1) > 0                #: 1

test "it" {
    turns(5)
}
"#,
    );
}

#[test]
fn closures_generators_and_methods() {
    check(
        "closures",
        r#"
struct Pile {
    var things = []             #: 1
    fn add(self, thing) {       #: 2
        self.things.push(thing) #: 2
        self                    #: 2
    }
    fn +(self, other) { self }  #: 0
}
gen fn up(n) {                  #: 1
    for i in 0..n {             #: 1
        yield i                 #: 3
    }
    print("all")                #: 0
}
fn doubled(list, more = list    #: 1
        .len()) {
    list.map(|x| {              #: 1
        x * 2                   #: 4
    })
}
fn tidy() {                     #: 1
    defer {                     #: 1
        print("tidied")         #: 1
    }
    try {                       #: 1
        throw Error("no")       #: 1
    } catch e if e is IoError { #: 1
        print("io")             #: 0
    } catch e {
        print("other")          #: 1
    }
}
local var mine = [              #: 1
    up(0)                       #: 1
]
test "it" {
    Pile().add(1).add(2)
    assert up(9).take(3).to_list() == [0, 1, 2]
    doubled([1, 2, 3, 4])
    tidy()
    assert mine.len() == 1
}
"#,
    );
}

#[test]
fn tasks_threads_and_scopes() {
    check(
        "threads",
        r#"
fn work(n) {                    #: 6
    var sum = 0                 #: 6
    for i in 0..n {             #: 6
        sum += 1                #: 60
    }
    sum                         #: 6
}
fn all() {                      #: 1
    scope {                     #: 1
        let tasks = [           #: 1
            spawn work(10),     #: 1
            thread work(10),    #: 1
            threadlet work(10), #: 1
            thread {            #: 1
                work(10)        #: 1
            },
        ]
        tasks.map(|t| t.join()) #: 4
    }
    timeout(1h, || {            #: 1
        work(10)                #: 1
    })
    let answers = Channel(1)    #: 1
    answers.send(work(10))      #: 1
    select {                    #: 1
        n = answers.recv() => n #: 1
        after 1h => {           #: 0
            print("late")       #: 0
        }
    }
}
test "it" {
    all()
}
"#,
    );
}

const SHAPES: &str = r#"## The area.
## ```
## assert area(3) == 9
## ```
pub fn area(w, h = w) {
    if w < 0 {
        throw ValueError("negative")
    }
    w * h
}
pub fn round(r) {
    let pi = 3.14
    pi * r * r
}
struct Box {
    fn open(self) { 1 }
}
test "a test in the file" {
    assert Box().open() == 1
}
"#;
const FIRST: &str =
    "from \"./lib/shapes.hd\" import area\ntest \"first\" {\n    assert area(2, 3) == 6\n}\n";
const SECOND: &str = "import \"./lib/../lib/shapes.hd\"\nfn half(n) {\n    n // 2\n}\ntest \"second\" {\n    assert half(shapes.area(4)) == 8\n}\n";

fn shapes(name: &str) -> PathBuf {
    let files = [
        ("lib/shapes.hd", SHAPES),
        ("first.hd", FIRST),
        ("second.hd", SECOND),
    ];
    folder(name, &files)
}

#[test]
fn files_are_counted_wherever_they_are_imported() {
    let folder = shapes("summary");
    let table = "\
coverage       lines  covered        %  not run
lib/shapes.hd      8        4   50.0 %  7, 11-13
second.hd          2        2  100.0 %
total             10        6   60.0 %
";
    for jobs in ["--jobs=1", "--jobs=3"] {
        let outcome = test(&folder, &["--coverage", jobs]);
        let told = "first.hd\n  first ... ok\nlib/shapes.hd\n  a test in the file ... ok\n  example of area, line 3 ... ok\nsecond.hd\n  second ... ok\n4 passed, 0 failed\n";
        assert_eq!(
            outcome.stdout,
            format!("{told}{table}"),
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn a_trace_for_lcov() {
    let folder = shapes("lcov");
    let outcome = test(&folder, &["--coverage=lcov", "--coverage-output=out.info"]);
    let last = outcome.stdout.lines().last();
    assert_eq!(last, Some("coverage: 6 of 10 lines (60.0 %), in out.info"));
    let expected = "\
TN:
SF:lib/shapes.hd
FN:5,area
FN:11,round
FN:16,Box.open
FNDA:3,area
FNDA:0,round
FNDA:1,Box.open
FNF:3
FNH:2
DA:5,3
DA:6,3
DA:7,0
DA:9,3
DA:11,0
DA:12,0
DA:13,0
DA:16,1
LF:8
LH:4
end_of_record
TN:
SF:second.hd
FN:2,half
FNDA:1,half
FNF:1
FNH:1
DA:2,1
DA:3,1
LF:2
LH:2
end_of_record
";
    let trace = fs::read_to_string(folder.join("out.info")).expect("it is written");
    assert_eq!(trace, expected);
}

#[test]
fn runs_under_seeds_add_up() {
    let folder = shapes("seeds");
    let arguments = [
        "--coverage=lcov",
        "--coverage-output=-",
        "--format=json",
        "--schedules=5",
    ];
    let outcome = test(&folder, &arguments);
    let trace = outcome.stdout.split_once("TN:\n").expect("a trace").1;
    assert!(trace.contains("FNDA:15,area\n"), "{trace}");
}

#[test]
fn functions_of_one_name_are_told_apart() {
    let folder = folder(
        "names",
        &[(
            "program.hd",
            "fn a() {\n    fn one() { 1 }\n    one()\n}\nfn b() {\n    fn one() { 2 }\n    one()\n}\na()\n",
        )],
    );
    let outcome = test(&folder, &["--coverage=lcov", "--coverage-output=-"]);
    for line in [
        "FNDA:1,one:2\n",
        "FNDA:0,one:6\n",
        "FNDA:1,a\n",
        "FN:6,one:6\n",
    ] {
        assert!(outcome.stdout.contains(line), "{line}{}", outcome.stdout);
    }
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let folder = shapes("unwritable");
    let outcome = test(
        &folder,
        &["--coverage=lcov", "--coverage-output=no/such/folder"],
    );
    assert!(
        outcome
            .stderr
            .starts_with("error: cannot write no/such/folder: "),
        "{}",
        outcome.stderr
    );
    let mut faults = String::new();
    outcome.check_exit(1, &mut faults);
    assert_eq!(faults, "");
    assert!(!folder.join("lcov.info").exists());
}
