use super::{Refused, format};

/// What it becomes, and that it stays so.
fn formatted(source: &str) -> String {
    let text = format(source).unwrap_or_else(|refused| panic!("{refused:?}: {source}"));
    let again = format(&text).unwrap_or_else(|refused| panic!("{refused:?}: {text}"));
    assert_eq!(again, text, "the second time it is different");
    text
}

#[track_caller]
fn becomes(source: &str, expected: &str) {
    assert_eq!(formatted(source), expected);
}

/// It is in the style already.
#[track_caller]
fn stays(text: &str) {
    becomes(text, text);
}

#[test]
fn spaces_of_expressions() {
    becomes("x=1+2 *-3\n", "x = 1 + 2 * -3\n");
    becomes("f( a ,b:2 ) [ 0 ] . c ?. d\n", "f(a, b: 2)[0].c?.d\n");
    becomes(
        "xs[ 1 .. ]; ys[..= 2]; 0 .. 10\n",
        "xs[1..]; ys[..=2]; 0..10\n",
    );
    becomes(
        "a  is  not b; c not   in d; not  e\n",
        "a is not b; c not in d; not e\n",
    );
    becomes("{ a:1,\"b\" :2 }\n{ }\n", "{a: 1, \"b\": 2}\n{}\n");
    becomes(
        "let f=|x,y|x+y\nlet g=||1\nlet h = | | { 1 }\n",
        "let f = |x, y| x + y\nlet g = || 1\nlet h = || { 1 }\n",
    );
    becomes(
        "let t=( 1, )\nlet u=(1,2,)\nlet l=[1,2,]\n",
        "let t = (1,)\nlet u = (1, 2)\nlet l = [1, 2]\n",
    );
    becomes("f(|a ,|a)\n", "f(|a| a)\n");
    becomes("x|y&z^~w<<1\n", "x | y & z ^ ~w << 1\n");
    becomes("fn +( self,o ) {self}\n", "fn +(self, o) { self }\n");
}

#[test]
fn spaces_of_statements() {
    becomes("if x{f()}else{g()}\n", "if x { f() } else { g() }\n");
    becomes(
        "for k,v in m{}\nwhile(a){ }\n",
        "for k, v in m { }\nwhile (a) { }\n",
    );
    becomes(
        "spawn( name:\"x\" )f()\nscope( timeout:2s ){ }\n",
        "spawn(name: \"x\") f()\nscope(timeout: 2s) { }\n",
    );
    becomes(
        "struct P:Named,B{var x,y=0;fn []=(self,i,v){}}\n",
        "struct P: Named, B { var x, y = 0; fn []=(self, i, v) { } }\n",
    );
    becomes(
        "match v{1|2=>\"a\",[a,..rest]=>b,P(x,..)=>c\n_=>d}\n",
        "match v { 1 | 2 => \"a\", [a, ..rest] => b, P(x, ..) => c\n    _ => d }\n",
    );
    becomes("return(1,2)\n", "return (1, 2)\n");
}

#[test]
fn strings() {
    becomes("\"a{ x+1 :>8}b{y}\"\n", "\"a{x + 1:>8}b{y}\"\n");
    // What spans lines is not touched.
    stays("let s = \"\"\"\n  a { x }\n    b\n  \"\"\"\n");
    stays("let s = '''\na\n   b'''\n");
}

#[test]
fn indentation() {
    becomes(
        "fn f() {\nlet x = [\n1,\n  2\n]\n      x.map(|y| {\ny\n})\n}\n",
        "fn f() {\n    let x = [\n        1,\n        2,\n    ]\n    x.map(|y| {\n        y\n    })\n}\n",
    );
    becomes(
        "let r = xs\n.map(f)\n.filter(|x| {\nx\n}) +\n1\n",
        "let r = xs\n    .map(f)\n    .filter(|x| {\n        x\n    }) +\n    1\n",
    );
    becomes("let a = 1 +\n2\n", "let a = 1 +\n    2\n");
    becomes("if a\nand b {\nc\n}\n", "if a\n    and b {\n    c\n}\n");
    becomes("foo(a, [{\nb: 1\n}])\n", "foo(a, [{\n    b: 1\n}])\n");
    becomes(
        "match x {\n1 =>\n2\n}\n",
        "match x {\n    1 =>\n        2\n}\n",
    );
}

#[test]
fn lines() {
    becomes("\n\n\na;\n\n\n\nb;;c;\n\n", "a\n\nb; c\n");
    becomes(
        "if a {\n\nb\n\n}\nelse {\nc\n}\n",
        "if a {\n    b\n} else {\n    c\n}\n",
    );
    becomes("try { a }\ncatch e { b }\n", "try { a } catch e { b }\n");
    becomes("a\r\nb  \r\n", "a\nb\n");
    becomes("", "");
    becomes("a", "a\n");
    stays("select {\n    m = c.recv() => { m }\n    else => 1\n}\n");
}

#[test]
fn commas() {
    becomes("f(\na,\nb\n)\n", "f(\n    a,\n    b,\n)\n");
    becomes("let x = (\n1 + 2\n)\n", "let x = (\n    1 + 2\n)\n");
    becomes("let x = (\n1, 2\n)\n", "let x = (\n    1, 2,\n)\n");
    becomes("[\na # one\n]\n", "[\n    a, # one\n]\n");
    becomes("xs[\n1\n]\n", "xs[\n    1\n]\n");
    becomes(
        "let m = {[\nk\n]: [\n1\n]}\n",
        "let m = {[\n    k\n]: [\n    1,\n]}\n",
    );
    becomes("{\na: 1\nb: 2\n}\n", "{\n    a: 1\n    b: 2\n}\n");
    becomes("{\na: 1,\nb: 2\n}\n", "{\n    a: 1,\n    b: 2,\n}\n");
}

/// A bracket that begins a statement is not that of a call, whatever stands before it.
#[test]
fn brackets_that_begin_statements() {
    becomes("let x = 5\n(x,)\n", "let x = 5\n(x,)\n");
    becomes("f();(x,)\n", "f(); (x,)\n");
    becomes("fn f() { g() ;( x, ) }\n", "fn f() { g(); (x,) }\n");
    becomes(
        "let x = 5\n(\na + b\n+ x\n)\n",
        "let x = 5\n(\n    a + b\n        + x\n)\n",
    );
    becomes(
        "let x = 5\n(\nxs\n)\n.each(f)\n",
        "let x = 5\n(\n    xs\n)\n    .each(f)\n",
    );
    becomes("x;[1,\n2\n]\n", "x; [1,\n    2,\n]\n");
    // In brackets newlines do not count: it is a call.
    becomes(
        "(f\n(\nx\n))\n",
        "(f\n        (\n            x,\n        ))\n",
    );
    becomes(
        "match v {\n1 => a\n(x,) => b\n}\n",
        "match v {\n    1 => a\n    (x,) => b\n}\n",
    );
    becomes(
        "spawn(name: \"x\") (\nf\n)(a)\n",
        "spawn(name: \"x\") (\n    f\n)(a)\n",
    );
}

#[test]
fn comments() {
    becomes(
        "#!/usr/bin/env heddle\n##  doc \nlet x=1   #  why\n",
        "#!/usr/bin/env heddle\n##  doc\nlet x = 1 #  why\n",
    );
    // What stood below one another still does.
    becomes("a      # 1\nbb     # 2\nc # 3\n", "a  # 1\nbb # 2\nc # 3\n");
    becomes(
        "if a { # why\n# b\nb\n   # end\n}\n# else\nc\n",
        "if a { # why\n    # b\n    b\n    # end\n}\n# else\nc\n",
    );
    becomes("xs\n# first\n.map(f)\n", "xs\n    # first\n    .map(f)\n");
    becomes(
        "if a { b }\n# or\nelse { c }\n",
        "if a { b }\n    # or\n    else { c }\n",
    );
}

#[test]
fn what_does_not_parse_is_refused() {
    assert!(matches!(format("let = 1"), Err(Refused::Wrong(found)) if !found.is_empty()));
    assert!(matches!(format("if a {"), Err(Refused::Wrong(_))));
}
