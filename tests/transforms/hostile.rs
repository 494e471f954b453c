//! Whatever settings and data hold, it ends soon and stays small.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::case::Case;

/// Far more than anything here takes, on a machine that does much else, without optimisation.
const SOON: Duration = Duration::from_secs(2);
/// Most that the process may grow by, in KiB: a job, its tree, and what is made of it.
const GROWTH: u64 = 96 * 1024;

/// The most memory the process has had so far, in KiB (proc_pid_status(5)).
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Runs a body over data, on half the stack that a worker's threads have; returns what came of it.
fn ends(body: &serde_json::Value, data: &str) -> Result<String, String> {
    let (body, data) = (body.to_string(), data.to_owned());
    let run = move || {
        let before = peak();
        #[expect(clippy::disallowed_methods, reason = "the test measures how long it takes")]
        let begin = Instant::now();
        let made = Case::new(&body, &data).text();
        let (took, grew) = (begin.elapsed(), peak() - before);
        assert!(took < SOON, "{body:.200}: took {took:?}");
        assert!(grew < GROWTH, "{body:.200}: grew by {grew} KiB");
        made
    };
    let thread = std::thread::Builder::new().stack_size(1024 * 1024).spawn(run).unwrap();
    thread.join().unwrap()
}

/// A complaint, however it is made.
fn fails(body: &serde_json::Value, data: &str) -> String {
    match ends(body, data) {
        Err(problem) => problem,
        Ok(made) => panic!("{body:.200}: made {} bytes", made.len()),
    }
}

fn template(source: &str) -> serde_json::Value {
    json!({"template": source, "as": "text"})
}

fn jmespath(source: &str) -> serde_json::Value {
    json!({"jmespath": source})
}

fn list(count: usize, item: &str) -> String {
    format!("[{}]", vec![item; count].join(","))
}

const OVER: [&str; 4] = ["steps", "bytes", "levels", "values"];

fn is_limit(problem: &str) -> bool {
    OVER.iter().any(|unit| problem.contains(unit))
}

#[test]
fn templates_that_would_run_for_ever_are_stopped() {
    let data = list(1000, "[1,2,3]");
    for source in [
        "{% for a in data %}{% for b in data %}{% for c in data %}{{ 1 }}{% endfor %}{% endfor %}{% endfor %}",
        "{% for a in data %}{% for b in data %}{% if a == b %}{% endif %}{% endfor %}{% endfor %}",
        "{% for a in data %}{% for b in data|sort|reverse %}{% endfor %}{% endfor %}",
        "{% for a in data if data == data %}{% endfor %}",
        "{% for a in data %}{% set x = data|sort %}{% endfor %}",
        "{% for a in data %}{% set x = [9] in data %}{% endfor %}",
    ] {
        let problem = fails(&template(source), &data);
        assert!(is_limit(&problem) || problem.contains("all numbers"), "{source}: {problem}");
    }
}

#[test]
fn strings_and_lists_that_would_fill_the_memory_are_stopped() {
    let text = format!("\"{}\"", "x\u{e9}".repeat(100_000));
    let doubling = |step: &str| format!("{{% set x = data %}}{}", step.repeat(64));
    for source in [
        doubling("{% set x = x ~ x %}"),
        doubling("{% set x = x + x %}"),
        doubling("{% set x = [x, x] %}{% set x = x|join %}"),
        doubling("{% set x = x|replace('x', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx') %}"),
        doubling("{% set x = x|replace('', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx') %}"),
        doubling("{% set x = [x, x]|tojson %}"),
        doubling("{% set x = x|urlencode %}"),
        doubling("{% set x = x|upper|lower|capitalize|reverse|trim|string %}"),
        doubling("{% set y = x|split('x') %}"),
        doubling("{% set y = x[1:] %}"),
        format!("{{% set x = [data] %}}{}{{{{ x }}}}", "{% set x = x + x %}".repeat(64)),
        "{{ data }}".repeat(20),
    ] {
        let problem = fails(&template(&source), &text);
        assert!(is_limit(&problem), "{source:.80}: {problem}");
    }
}

#[test]
fn what_is_made_on_the_way_is_limited_even_where_it_takes_few_steps() {
    let data = format!("\"{}\"", "x".repeat(400_000));
    let problem = fails(&template(&"{% set y = data ~ 'x' %}".repeat(12)), &data);
    assert!(problem.contains("more than 4194304 bytes on the way"), "{problem}");
    assert!(ends(&template(&"{% set y = data ~ 'x' %}".repeat(10)), &data).is_ok());
}

#[test]
fn what_is_long_costs_more_than_what_is_short() {
    let long = "x".repeat(400_000);
    let items = list(20_000, "1");
    let data =
        format!(r#"{{"a":"{long}y","b":"{long}z","l":{items},"o":{{"{long}":1}},"k":"{long}"}}"#);
    let looped = |body: &str| format!("{{% for i in data.l %}}{body}{{% endfor %}}");
    for source in [
        looped("{% if data.a is startingwith data.k %}{% endif %}"),
        looped("{% if data.a is endingwith data.a %}{% endif %}"),
        looped("{% if data.a < data.b %}{% endif %}"),
        looped("{% if data.a == data.b %}{% endif %}"),
        looped("{% if data.k in data.b %}{% endif %}"),
        looped("{% if data.k in data.o %}{% endif %}"),
        looped("{% if data.o[data.k] %}{% endif %}"),
        looped("{% set x = {data.a: 1, data.b: 2} %}"),
        looped("{% set x = data.a|length %}"),
        looped("{% set x = data.a|default('')|trim %}"),
        format!("{}{}", "{% set z = 1 %}".repeat(4_000), looped("{{ data.a is none }}")),
    ] {
        let problem = fails(&template(&source), &data);
        assert!(is_limit(&problem), "{source:.80}: {problem}");
    }
    let data = list(60, &format!("\"{}\"", "x".repeat(16_000)));
    let many = format!("[{}][]", vec!["@"; 32].join(","));
    for test in ["starts_with(@,@)", "ends_with(@,@)", "contains(@,@)", "@==@", "length(@)"] {
        let problem = fails(&jmespath(&format!("{many} | [?{test}]")), &data);
        assert!(is_limit(&problem), "{test}: {problem}");
    }
}

#[test]
fn numbers_of_many_digits_are_refused() {
    let problem = fails(&jmespath("@"), &"1".repeat(1_001));
    assert!(problem.contains("a number longer than 1000 characters"), "{problem}");
    assert_eq!(ends(&jmespath("@"), &"1".repeat(1_000)).unwrap().len(), 1_000);
    let long = format!("\"{}\"", "1".repeat(1_001));
    assert_eq!(ends(&jmespath("to_number(@)"), &long).unwrap(), "null");
    assert!(fails(&template("{{ data|float }}"), &long).contains("expected a number"));
    let digits = format!("1.{}", "3".repeat(990));
    let data = list(1_000, &digits);
    for source in [
        "{% for a in data %}{% for b in data %}{% if a > b %}{% endif %}{% endfor %}{% endfor %}",
        "{% for a in data %}{% for b in data %}{% set c = a + b %}{% endfor %}{% endfor %}",
        "{% for a in data %}{% for b in data %}{% set c = a|round(2) %}{% endfor %}{% endfor %}",
        "{% for a in data %}{% for b in data %}{% set c = a|int %}{% endfor %}{% endfor %}",
        "{% for a in data %}{% set c = data|sum %}{% endfor %}",
        "{% for a in data %}{% set c = data|sort %}{% endfor %}",
    ] {
        let problem = fails(&template(source), &data);
        assert!(is_limit(&problem), "{source}: {problem}");
    }
    for source in
        ["[@,@,@,@] | [*].sum(@)", "[@,@,@,@] | [*].avg(@)", "[@,@,@,@][] | [?@ > `1`].ceil(@)"]
    {
        assert!(is_limit(&fails(&jmespath(source), &data)), "{source}");
    }
}

#[test]
fn long_settings_are_compiled_soon() {
    for source in [
        "{{1}}".repeat(13_000),
        "{%if 1%}{%endif%}".repeat(3_800),
        "{# #}".repeat(13_000),
        "{% raw %}{% endraw %}".repeat(3_000),
        format!("{{% raw %}}{}", "{% ".repeat(20_000)),
        "{".repeat(65_536),
        format!("{{{{ \"{}\" }}}}", "\\n".repeat(30_000)),
        format!("{{{{ [{}] }}}}", "1,".repeat(30_000)),
    ] {
        drop(ends(&template(&source), "1"));
    }
    let paths = json!({"inputTransformer": {"inputTemplate": "<".repeat(8_192)}});
    assert_eq!(ends(&paths, "1").unwrap().len(), 8_192);
    for source in ["a".repeat(8_192), format!("[{}a]", "a,".repeat(4_000)), "`[".repeat(4_000)] {
        drop(ends(&jmespath(&source), "1"));
    }
}

#[test]
fn operators_and_functions_that_repeat_are_not_there() {
    for (source, part) in [
        ("{{ 'x' * 1000000000 }}", "cannot reckon with"),
        ("{{ [1] * 1000000000 }}", "cannot reckon with"),
        ("{{ range(1000000000) }}", "no functions"),
        ("{{ lipsum(100000) }}", "no functions"),
        ("{{ 2 ** 1000000000 }}", "expected"),
        ("{{ data|indent(1000000000) }}", "no filter"),
        ("{{ data|center(1000000000) }}", "no filter"),
        ("{{ '%1000000000d'|format(1) }}", "no filter"),
        ("{{ data|batch(1) }}", "no filter"),
        ("{{ 1|round(1000000000) }}", "round takes"),
        (
            "{{ 170141183460469231731687303715884105727 * 170141183460469231731687303715884105727 * 1e308 }}",
            "too large",
        ),
        ("{{ namespace() }}", "no functions"),
        ("{{ debug() }}", "no functions"),
        ("{{ data.__class__ }}", "is not there"),
        ("{% for x in data recursive %}{% endfor %}", "not recursive"),
        ("{% set x %}{{ data }}{% endset %}", "expected '='"),
        ("{% filter upper %}{% endfilter %}", "no tag"),
        ("{% autoescape false %}{% endautoescape %}", "no tag"),
        ("{% do data %}", "no tag"),
        ("{{ data|safe }}", "no filter"),
    ] {
        let problem = fails(&template(source), "\"x\"");
        assert!(problem.contains(part), "{source}: {problem}");
    }
}

#[test]
fn a_value_that_shares_its_parts_is_not_walked_for_ever() {
    let shared = format!("{{% set x = data %}}{}", "{% set x = [x, x] %}".repeat(60));
    let twice = format!("{shared}{{% set y = data %}}{}", "{% set y = [y, y] %}".repeat(60));
    for source in [
        format!("{shared}{{{{ x }}}}"),
        format!("{shared}{{{{ x|tojson }}}}"),
        format!("{twice}{{{{ x == y }}}}"),
        format!("{twice}{{{{ x in [y] }}}}"),
        format!("{shared}{{{{ x ~ 'a' }}}}"),
    ] {
        let problem = fails(&template(&source), "1");
        assert!(is_limit(&problem), "{source:.60}: {problem}");
    }
    let expression = format!("{}@", "[@,@]|".repeat(60));
    assert!(is_limit(&fails(&jmespath(&expression), "1")));
    let expression = format!("{}{{a:@,b:@}}|[a==b,to_string(@)]", "[@,@]|".repeat(40));
    assert!(is_limit(&fails(&jmespath(&expression), "1")));
}

#[test]
fn what_nests_deeply_is_refused_before_the_stack_is_full() {
    let around =
        |open: &str, close: &str, n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
    // Parentheses around long chains nest a tree by both.
    let mut chains = "1".to_owned();
    for _ in 0..90 {
        chains = format!("({chains}{})", "+1".repeat(90));
    }
    let mut paths = "a".to_owned();
    for _ in 0..40 {
        paths = format!("({paths}{})", ".a".repeat(90));
    }
    for source in [
        format!("{{{{ {} }}}}", around("(", ")", 10_000)),
        format!("{{{{ {} }}}}", around("[", "]", 10_000)),
        format!("{{{{ {} }}}}", around("-", "", 10_000)),
        format!("{{{{ {} }}}}", around("not ", "", 10_000)),
        format!("{{{{ {} }}}}", around("1 if ", "", 10_000)),
        format!("{{{{ data{} }}}}", ".a".repeat(30_000)),
        format!("{{{{ data{} }}}}", "[0]".repeat(20_000)),
        format!("{{{{ data{} }}}}", "|abs".repeat(10_000)),
        format!("{{{{ data{} }}}}", " is odd".repeat(9_000)),
        format!("{{{{ 1{} }}}}", "+1".repeat(30_000)),
        format!("{{{{ {chains} }}}}"),
        "{% if 1 %}".repeat(5_000),
        "{% for x in data %}".repeat(3_000),
        format!("{{{{ {} }}}}", around("{\"a\":", "}", 9_000)),
    ] {
        let problem = fails(&template(&source), "1");
        assert!(problem.contains("levels"), "{source:.60}: {problem}");
    }
    for source in [
        around("(", ")", 4_000),
        around("[", "]", 4_000),
        around("!", "", 8_000),
        around("a[?", "]", 2_000),
        around("abs(", ")", 1_500),
        around("{a:", "}", 2_000),
        format!("a{}", ".a".repeat(4_000)),
        format!("a{}", "[]".repeat(4_000)),
        format!("a{}", "[*]".repeat(2_500)),
        format!("a{}", "|a".repeat(4_000)),
        format!("a{}", "||a".repeat(2_500)),
        format!("a{}", "==a".repeat(2_500)),
        paths,
    ] {
        let problem = fails(&jmespath(&source), "1");
        assert!(problem.contains("levels"), "{source:.60}: {problem}");
    }
    for body in
        [jmespath("@"), template("{{ data }}"), json!({"inputPath": "$"}), json!({"as": "form"})]
    {
        assert!(ends(&body, &around("[", "]", 127)).is_ok() || body["as"] == "form");
        for data in [around("[", "]", 129), "[".repeat(500_000), "{\"a\":".repeat(200_000)] {
            let problem = fails(&body, &data);
            assert!(problem.contains("nests deeper than 128 levels"), "{problem}");
        }
    }
}

#[test]
fn jmespath_over_a_large_job_is_stopped() {
    let nested = list(500, &list(20, &list(20, "1")));
    let wide = list(100_000, "1");
    let member =
        format!("{{{}}}", (0..60_000).map(|n| format!("\"{n}\":1")).collect::<Vec<_>>().join(","));
    for (source, data) in [
        ("[*][*][*].[@,@,@]", &nested),
        ("[*][*][*] | [][][].{a:@}", &nested),
        ("[*][*][?@==`1`].[@,@,@]", &nested),
        ("map(&map(&sort(@),@),[@,@,@,@,@,@,@,@,@,@][])", &nested),
        ("[@,@,@,@,@,@,@,@][].[@,@][].[@]", &wide),
        ("[@,@,@,@] | [*].sort(@)", &wide),
        ("[@,@,@,@] | [*].max_by(@,&abs(@))", &wide),
        ("[?contains([@,@], @)] | [?length(to_string(@)) > `0`].[@, @, @, @, @]", &wide),
        ("keys(@) | [*].[@,@,@,@] | [].[@]", &member),
        ("[@,@,@,@,@,@][].{a:keys(@),b:values(@),c:merge(@,@,@)}", &member),
    ] {
        let problem = fails(&jmespath(source), data);
        assert!(is_limit(&problem), "{source}: {problem}");
    }
}

#[test]
fn objects_of_many_members_are_searched_within_the_budget() {
    let members: Vec<_> = (0..60_000).map(|n| format!("\"name{n}\":{n}")).collect();
    let data = format!("{{{}}}", members.join(","));
    let problem = fails(&template("{% for k in data %}{{ data[k] }}{% endfor %}"), &data);
    assert!(is_limit(&problem), "{problem}");
    assert!(is_limit(&fails(&jmespath("@ == merge(@, {name0: `0`})"), &data)));
    // Reading them is no slower than reading anything else.
    assert!(ends(&jmespath("name59999"), &data).is_ok());
    let same = format!("{{{}}}", vec!["\"a\":1"; 150_000].join(","));
    assert_eq!(ends(&jmespath("@"), &same).unwrap(), "{\"a\":1}");
}

#[test]
fn a_job_of_too_many_values_is_refused() {
    let problem = fails(&jmespath("[0]"), &list(300_000, "1"));
    assert!(problem.contains("more than 250000 values"), "{problem}");
    assert!(ends(&jmespath("[0]"), &list(249_000, "1")).is_ok());
}

#[test]
fn paths_and_forms_stay_within_the_budget() {
    let paths: serde_json::Map<_, _> =
        (0..100).map(|n| (format!("p{n}"), "$[*][*][*]".into())).collect();
    let body =
        json!({"inputTransformer": {"inputPathsMap": paths, "inputTemplate": "{\"a\": <p1>}"}});
    assert!(is_limit(&fails(&body, &list(500, &list(20, &list(20, "1"))))));

    // Each field repeats the names around it.
    let inner = list(50_000, "{}");
    let data = format!("{{\"{}\":{inner}}}", "n".repeat(500_000));
    for arrays in ["indices", "repeat", "brackets"] {
        assert!(is_limit(&fails(&json!({"as": {"form": {"arrays": arrays}}}), &data)));
    }
    let data = format!("{{\"a\":{}}}", list(60_000, "[1,2]"));
    assert!(is_limit(&fails(&json!({"as": "form"}), &data)));
}

#[test]
fn attributes_of_an_event_are_limited() {
    let attributes: Vec<_> = (0..100).map(|n| format!("\"a{n}\":\"x\"")).collect();
    let data = format!(
        r#"{{"specversion":"1.0","id":"1","source":"/","type":"t",{}}}"#,
        attributes.join(",")
    );
    let mut case = Case::new(r#"{"as":{"cloudEvents":{"mode":"binary"}}}"#, &data);
    case.content_type = Some("application/cloudevents+json".to_owned());
    assert!(case.text().unwrap_err().contains("more than 64 attributes"));
    let data = format!(
        r#"{{"specversion":"1.0","id":"1","source":"/","type":"t","a":"{}"}}"#,
        "x".repeat(9_000)
    );
    let mut case = Case::new(r#"{"as":{"cloudEvents":{"mode":"binary"}}}"#, &data);
    case.content_type = Some("application/cloudevents+json".to_owned());
    assert!(case.text().unwrap_err().contains("the attribute a cannot be a header"));
}

#[test]
fn complaints_repeat_nothing_of_the_data() {
    let secret = "s3cret-value";
    let data = format!(r#"{{"a":"{secret}","l":["{secret}"],"n":{{"{secret}":1}}}}"#);
    for body in [
        jmespath("sum(l)"),
        jmespath("abs(a)"),
        jmespath("sort_by(l, &abs(@))"),
        template("{{ data.a * 2 }}"),
        template("{{ data.a < 2 }}"),
        template("{{ data.n|sum }}"),
        template("{{ data[data.a] }}"),
        template("{% for x, y in data.l %}{% endfor %}"),
        json!({"template": "{\"a\": \"b\" {{ data.a }}"}),
        json!({"as": "text"}),
        json!({"as": {"form": {"arrays": "commas"}}, "jmespath": "{a: [n]}"}),
        json!({"as": {"cloudEvents": {"type": "t", "extensions": {"a": "\n"}}}}),
    ] {
        let problem = fails(&body, &data);
        assert!(!problem.contains(secret), "{problem}");
    }
}
