//! Templates, data and what comes out, in tables: `tests/golden.jsonl` has what Go's text/template and Docker's
//! functions make of `tests/data.json`, a line `[template, text]`, `[template, null, error]`, or `[template, null]` where
//! our error says it in other words.

use std::rc::Rc;

use serde_json::Value as Json;

use super::value::{List, Value};
use super::{MissingKey, Template};

/// JSON as Go reads it without a type: every number is a float.
fn untyped(json: &Json) -> Value {
    match json {
        Json::Number(number) => Value::Float(number.as_f64().unwrap()),
        Json::Array(items) => Value::List(Rc::new(List {
            type_name: "[]interface {}",
            items: items.iter().map(untyped).collect(),
            is_nil: false,
        })),
        Json::Object(entries) => {
            Value::map(entries.iter().map(|(key, json)| (key.clone(), untyped(json))).collect())
        }
        other => crate::shape::any(other),
    }
}

fn rendered(template: &str, data: &Value) -> Result<String, String> {
    let template = Template::parse(template).map_err(|error| error.why)?;
    template.render(data).map_err(|error| error.why)
}

#[test]
fn as_go_and_docker_render() {
    let data = untyped(&serde_json::from_str(include_str!("tests/data.json")).unwrap());
    let mut wrong = Vec::new();
    for line in include_str!("tests/golden.jsonl").lines() {
        let row: Vec<Json> = serde_json::from_str(line).unwrap();
        let template = row[0].as_str().unwrap();
        let got = rendered(template, &data);
        let is_right = match (&got, row[1].as_str(), row.get(2)) {
            (Ok(text), Some(expected), _) => text == expected,
            (Err(why), None, Some(expected)) => why == expected,
            (Err(_), None, None) => true,
            _ => false,
        };
        if !is_right {
            wrong.push(format!("{template}\n   got {got:?}\n  want {row:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn templates_that_define_templates() {
    let data = untyped(&serde_json::json!({"a": "x", "l": ["p", "q"]}));
    let check = |template: &str, expected: &str| {
        let got = rendered(template, &data).unwrap_or_else(|why| format!("error: {why}"));
        assert_eq!(got, expected, "{template}");
    };
    check("{{define \"t\"}}[{{.}}]{{end}}{{template \"t\" .a}}", "[x]");
    check("{{template \"t\" .a}}{{define \"t\"}}[{{.}}]{{end}}", "[x]");
    check("{{define \"t\"}}[{{.}}]{{end}}{{template \"t\"}}", "[<no value>]");
    check("{{define \"t\"}}{{$}}{{end}}{{range .l}}{{template \"t\" .}}{{end}}", "pq");
    check("{{block \"b\" .a}}<{{.}}>{{end}}{{template \"b\" 1}}", "<x><1>");
    check("{{define \"t\"}}one{{end}}{{define \"t\"}}two{{end}}{{template \"t\"}}", "two");
    check("{{define \"t\"}}one{{end}}{{define \"t\"}} {{end}}{{template \"t\"}}", "one");
    check("{{$x := 1}}{{define \"t\"}}{{$x}}{{end}}", "error: undefined variable \"$x\"");
    check("{{if .a}}{{define \"t\"}}{{end}}{{end}}", "error: unexpected {{define}} in a block");
    check("{{range .l}}{{block \"b\" .}}{{break}}{{end}}{{end}}", "error: {{break}} outside {{range}}");
}

#[test]
fn what_is_wrong_with_a_text() {
    let check = |template: &str, column: usize, why: &str| {
        let error = Template::parse(template).unwrap_err();
        assert_eq!((error.column, error.why.as_str(), error.in_syntax), (column, why, true), "{template}");
    };
    check("ab{{.Name", 3, "unclosed action");
    check("{{.Name}", 8, "bad character U+007D '}'");
    check("{{if .a}}x", 3, "{{if}} without {{end}}");
    check("{{if .a}}x{{else}}y", 3, "{{if}} without {{end}}");
    check("{{if .a}}x{{else if .b}}y", 18, "{{if}} without {{end}}");
    check("{{range .a}}", 3, "{{range}} without {{end}}");
    check("{{define \"x\"}}", 3, "{{define}} without {{end}}");
    check("{{else}}", 3, "unexpected {{else}}");
    check("{{.a}}{{end}}", 9, "unexpected {{end}}");
    check("{{foo .a}}", 3, "function \"foo\" not defined");
    check("é {{.a | foo}}", 10, "function \"foo\" not defined");
    check("{{.a $x}}", 6, "undefined variable \"$x\"");
}

#[test]
fn where_a_rendering_failed() {
    let data = untyped(&serde_json::json!({"a": "x"}));
    let check = |template: &str, line: usize, column: usize| {
        let error = Template::parse(template).unwrap().render(&data).unwrap_err();
        assert_eq!((error.line, error.column, error.in_syntax), (line, column, false), "{template}");
    };
    check("{{.a}}\n  {{upper 1}}", 2, 5);
    check("{{.a | len | upper}}", 1, 14);
    check("{{if true}}{{.a.b}}{{end}}", 1, 14);
    check("{{template \"x\"}}", 1, 3);
}

#[test]
fn missing_keys_are_errors_where_that_is_asked_for() {
    let data = crate::shape::any(&serde_json::json!({"a": {"b": null}}));
    let check = |template: &str, expected: &str| {
        let rendered = Template::parse(template).unwrap().render_with(&data, MissingKey::Error);
        assert_eq!(rendered.unwrap_or_else(|error| error.why), expected, "{template}");
    };
    check("{{.a.b}}", "<no value>");
    check("{{.x}}", "map has no entry for key \"x\"");
    check("{{.a.x}}", "map has no entry for key \"x\"");
    check("{{(index .a \"x\").y}}", "nil data; no entry for key \"y\"");
}

/// A list of a thousand numbers, for those who want much.
fn thousand() -> Value {
    let items = (0..1000).map(|number| Value::Text(Rc::from(number.to_string()))).collect();
    Value::List(Rc::new(List { type_name: "[]string", items, is_nil: false }))
}

#[test]
fn hostile_templates_come_to_an_end() {
    let data = thousand();
    let too_much = |template: &str| {
        let why = rendered(template, &data).unwrap_err();
        assert!(why.contains("more than"), "{why}");
    };
    // Loops in loops, with and without output.
    too_much("{{range .}}{{range $}}{{range $}}{{range $}}{{end}}{{end}}{{end}}{{end}}");
    too_much("{{range 9223372036854775807}}{{end}}");
    too_much("{{range .}}{{printf \"%1000000d\" 1}}{{end}}");
    too_much("{{printf \"%1000000s\" .}}");
    too_much("{{range .}}{{printf \"%.1000000f\" 1.0}}{{end}}");
    too_much("{{pad \"x\" 9223372036854775807 9223372036854775807}}");
    too_much("{{$x := \"aaaaaaaaaaaaaaaa\"}}{{range .}}{{$x = printf \"%s%s\" $x $x}}{{end}}");
    too_much("{{$x := \"aaaaaaaaaaaaaaaa\"}}{{range .}}{{$x = print $x $x}}{{$y := split $x \"\"}}{{end}}");
    too_much(
        "{{$x := printf \"%99999d\" 1}}{{range .}}{{$y := json $x}}{{end}}{{range 999}}{{$y := js $x}}{{end}}",
    );
    // Templates that call themselves, once and twice.
    too_much("{{define \"t\"}}{{template \"t\" .}}{{end}}{{template \"t\" .}}");
    too_much("{{define \"t\"}}x{{template \"t\" .}}{{template \"t\" .}}{{end}}{{template \"t\" .}}");
    too_much(&"{{if true}}".repeat(101));
    too_much(&format!("{{{{{}1{}}}}}", "(".repeat(101), ")".repeat(101)));
    too_much(&format!("{}{}", "{{if 0}}{{else if 0}}".repeat(60), "{{end}}".repeat(60)));
    too_much(&"a".repeat((64 << 10) + 1));
}

#[test]
fn deep_is_not_too_deep() {
    let data = Value::Bool(true);
    let nested = format!("{}x{}", "{{if .}}".repeat(99), "{{end}}".repeat(99));
    assert_eq!(rendered(&nested, &data).unwrap(), "x");
    let nested = format!("{{{{{}1{}}}}}", "(".repeat(99), ")".repeat(99));
    assert_eq!(rendered(&nested, &data).unwrap(), "1");
}

#[test]
fn fields_that_a_template_uses() {
    let check = |template: &str, expected: bool| {
        assert_eq!(Template::parse(template).unwrap().uses("Size"), expected, "{template}");
    };
    check("{{.Size}}", true);
    check("{{if .ID}}{{upper .Size}}{{end}}", true);
    check("{{range .X}}{{else}}{{$.Size}}{{end}}", true);
    check("{{json .}}", true);
    check("{{(print .Size)}}", true);
    check("{{.ID}} Size {{\"Size\"}}", false);
    check("{{define \"x\"}}{{.Size}}{{end}}", true);
}
