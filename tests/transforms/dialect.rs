//! Templates mean what MiniJinja makes of them, where both know them.

use serde_json::json;

use crate::case::Case;

const DATA: &str = r#"{"name":"Ada","n":7,"m":-3,"list":[3,1,2],"words":["b","a"],"map":{"j":2,"k":"v"},
    "text":"  some Text, here ","empty":"","yes":true,"nested":{"list":[{"x":1},{"x":2}]}}"#;

const TEMPLATES: &[&str] = &[
    "plain",
    "trailing newline\n",
    "two\n\n",
    "crlf\r\n",
    "{{ data.name }}",
    "{{ data['name'] }}{{ data.list[0] }}{{ data.list[-1] }}",
    "{{ data.n + 2 * 3 - 1 }} {{ (data.n + 2) * 3 }} {{ data.n // 2 }} {{ data.n % 4 }} {{ data.m % 4 }} {{ data.m // 2 }}",
    "{{ -data.n + 1 }} {{ data.n - -1 }} {{ 1 - 2 - 3 }} {{ 2 * 3 % 4 }}",
    "{{ data.name ~ '-' ~ data.n }} {{ 1 ~ 2 * 3 }}",
    "{{ 'a' + 'b' }} {{ data.name + '!' }}",
    "{{ 1 < 2 }} {{ 2 <= 2 }} {{ 1 == 2 }} {{ 1 != 2 }} {{ 'a' < 'b' }} {{ 3 > 2 and 1 > 0 }}",
    "{{ not data.yes }} {{ not 1 == 2 }} {{ not (1 == 2) and true }}",
    "{{ 1 in data.list }} {{ 9 not in data.list }} {{ 'k' in data.map }} {{ 'om' in data.text }}",
    "{{ 'a' if data.yes else 'b' }} {{ 'a' if not data.yes else 'b' if data.n == 7 else 'c' }}",
    "{{ '' or 'x' }} {{ 'x' and 'y' }} {{ 0 or 7 }}",
    "{{ data.text|trim }} {{ data.text|upper }} {{ data.text|lower }} {{ data.text|length }}",
    "{{ 'hello World'|capitalize }} {{ data.text|replace('e', 'E') }}",
    "{{ data.words|join(', ') }} {{ data.words|join }} {{ data.list|join('-') }}",
    "{{ data.list|first }} {{ data.list|last }} {{ data.list|length }} {{ data.map|length }}",
    "{{ data.list|sort|join(',') }} {{ data.list|reverse|join(',') }} {{ data.name|reverse }}",
    "{{ data.list|min }} {{ data.list|max }} {{ data.list|sum }}",
    "{{ data.m|abs }} {{ '42'|int + 1 }} {{ data.n|string ~ 'x' }}",
    "{{ -data.m|abs }} {{ (-data.n)|abs }}",
    "{{ data.empty|default('x') }}|{{ data.empty|default('x', true) }}|{{ data.gone|default('y') }}|{{ data.gone|d('z') }}",
    "{{ data.gone is defined }} {{ data.name is defined }} {{ data.gone is undefined }} {{ data.name is not undefined }}",
    "{{ data.n is number }} {{ data.name is string }} {{ data.list is sequence }} {{ data.map is mapping }} {{ data.yes is boolean }}",
    "{{ data.n is odd }} {{ data.n is even }} {{ data.n is eq 7 }} {{ data.n is in data.list }}",
    "{{ data.name is startingwith 'A' }} {{ data.name is endingwith('a') and data.n is odd }}",
    "{% if data.n > 5 %}big{% elif data.n > 3 %}middle{% else %}small{% endif %}",
    "{% for i in data.list %}{{ i }}{% if not loop.last %},{% endif %}{% endfor %}",
    "{% for i in data.list %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.length }} {% endfor %}",
    "{% for i in data.list if i > 1 %}{{ loop.index }}:{{ i }} {% endfor %}",
    "{% for i in [] %}x{% else %}none{% endfor %}",
    "{% for o in data.nested.list %}{{ o.x }}{% for i in data.words %}{{ i }}{{ loop.index }}{% endfor %}{{ loop.index }} {% endfor %}",
    "{% for p in data.map|items %}{{ p[0] }}={{ p[1] }};{% endfor %}",
    "{% for k, v in data.map|items %}{{ k }}={{ v }};{% endfor %}",
    "{% for k in data.map %}{{ k }}{% endfor %}",
    "{% set x = 1 %}{% for i in data.list %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}",
    "{% set x = 1 %}{% if data.yes %}{% set x = 2 %}{% endif %}{{ x }}",
    "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}",
    "{% with a = data.n %}{% with a = a + 1 %}{{ a }}{% endwith %}{{ a }}{% endwith %}",
    "a  {{- data.n -}}  b",
    "a \n {%- if true -%} \n b \n {%- endif -%} \n c",
    "a {%+ if true +%} b {% endif %} c",
    "a {# comment #} b {#- trimmed -#} c",
    "{% raw %}{{ not }} {% if %}{% endraw %}",
    "a {%- raw -%} {{ x }} {%- endraw -%} b",
    "{{ 'its' if false else \"q\\\"q\" }} {{ 'a\\'b' }} {{ 'x\\ny' }}",
    "{{ [1, 2, 3][1] }} {{ {'a': 1}['a'] }} {{ {'a': {'b': 2}}.a.b }}",
    "{{ data.list[1:]|join }} {{ data.list[:2]|join }} {{ data.name[1:2] }} {{ data.name[-2:] }} {{ data.list[5:]|length }}",
    "{{ data.nested.list[1].x }} {{ data.nested['list'][0]['x'] }}",
    "{{ 'a,b,c'|split(',')|join('|') }}",
    "{{ 1.5 + 1 }} {{ 7 / 2 }} {{ 0.1 + 0.2 }} {{ 3.7|round }} {{ 3.14159|round(2) }} {{ 3.99|int }}",
    "{{ data.n == 7.0 }} {{ 7.5 > data.n }} {{ data.list == [3, 1, 2] }} {{ data.map == {'j': 2, 'k': 'v'} }}",
    "{{ data.gone.more }}",
    "{{ 'a' ~ 1 + 2 }}",
    "{{ - data.n|abs ~ data.list|first }}",
    "{{ none is none }} {{ true }} {{ false }}",
];

/// Where they differ, and are meant to: booleans are written as JSON has them, and whole numbers
/// without a point.
fn same(ours: &str, theirs: &str) -> bool {
    let theirs = theirs.replace("True", "true").replace("False", "false");
    ours == theirs.replace(".0 ", " ").trim_end_matches(".0")
}

#[test]
fn templates_mean_what_minijinja_makes_of_them() {
    let mut environment = minijinja::Environment::new();
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    let data: serde_json::Value = serde_json::from_str(DATA).unwrap();
    let mut wrong = Vec::new();
    for template in TEMPLATES {
        let body = json!({"template": template, "as": "text"});
        let ours = Case::new(&body.to_string(), DATA).text();
        let theirs =
            environment.render_str(template, minijinja::value::Serde(json!({"data": data})));
        match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) if same(ours, theirs) => {}
            (Err(_), Err(_)) => {}
            (ours, theirs) => {
                wrong.push(format!("{template:?}\n  ours   {ours:?}\n  theirs {theirs:?}"))
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
