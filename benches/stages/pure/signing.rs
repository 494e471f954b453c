//! The request, and what each auth step adds to it, with keys that were read once. The steps are those of
//! `cargo bench --bench auth`.

#[path = "../../auth/cases.rs"]
#[allow(dead_code, reason = "the marks are that benchmark's")]
mod cases;

use super::Stage;

pub fn stages() -> anyhow::Result<Vec<Stage>> {
    let mut all = vec![cases::bare()?];
    all.extend(cases::all()?);
    let stage = |case: cases::Case| {
        case.apply()?;
        let is_slow = case.name.contains("RS256");
        let stage = Stage::new(format!("sign: {}", case.name), move || case.apply());
        Ok(if is_slow { stage.few() } else { stage })
    };
    all.into_iter().map(stage).collect()
}
