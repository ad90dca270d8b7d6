//! The permission server and the templates of its subjects.

use iam_grammar::{Template, check_namespace};

use super::upstream;
use crate::{
    config::{KetoConfig, SubjectForm, TenantConfig, report::Report},
    secret::Secret,
    tenant::{KetoSettings, SubjectTemplate},
};

pub(super) fn keto(
    report: &mut Report,
    path: &str,
    tenant: &TenantConfig,
    written: &KetoConfig,
) -> Option<KetoSettings> {
    let http = upstream::plain_http(path, "keto", &tenant.upstream, &written.upstream);
    let path = format!("{path}.keto");
    let at = |key: &str| format!("{path}.{key}");

    let read_url = report.base_url(&at("read_url"), &written.read_url, &http);
    let write_url = written
        .write_url
        .as_deref()
        .map(|url| report.base_url(&at("write_url"), url, &http));
    if let Some(token) = &written.token
        && !is_header_value(token)
    {
        report.add(&at("token"), "not a bearer token");
    }
    report.range(&at("batch_size"), written.batch_size, 1..=1000);

    let mut side = |key: &str, text: &str, placeholders: &[&str]| {
        let read = subject(text, written.subject_form, placeholders);
        read.map_err(|fault| report.add(&at(key), fault)).ok()
    };
    let subject = side("subject", &written.subject, &["sub", "user"]);
    let client_subject = side("client_subject", &written.client_subject, &["client_id"]);
    if could_be_same(&written.subject, &written.client_subject) {
        report.add(
            &at("client_subject"),
            "a client and an identity could be the same subject",
        );
    }

    Some(KetoSettings {
        read_url: read_url?,
        write_url: write_url.flatten(),
        token: written.token.clone(),
        subject: subject?,
        client_subject: client_subject?,
        batch_size: written.batch_size,
        limits: upstream::limits(&tenant.upstream, &written.upstream),
        max_in_flight: upstream::max_in_flight(&tenant.upstream, &written.upstream),
    })
}

fn subject(text: &str, form: SubjectForm, placeholders: &[&str]) -> Result<SubjectTemplate, String> {
    let expected = || {
        format!(
            "expected exactly one placeholder, `{{{}}}`",
            placeholders.join("}` or `{")
        )
    };
    let unreadable = |_| "not a subject".to_owned();

    let subject = match form {
        SubjectForm::Id => SubjectTemplate::Id(Template::parse_subject_id(text).map_err(unreadable)?),
        SubjectForm::Set => {
            let (namespace, object) = text
                .split_once(':')
                .ok_or("a subject of the form \"set\" is written `namespace:object`")?;
            check_namespace(namespace).map_err(|_| "not a namespace in front of the `:`")?;
            SubjectTemplate::Set {
                namespace: namespace.to_owned(),
                object: Template::parse(object).map_err(unreadable)?,
            }
        }
    };
    let (SubjectTemplate::Id(template) | SubjectTemplate::Set { object: template, .. }) = &subject;

    let names: Vec<_> = template.placeholders().collect();
    if !matches!(names.as_slice(), [name] if placeholders.contains(name)) {
        return Err(expected());
    }
    Ok(subject)
}

/// Tells whether two templates of one placeholder each can make one text, of ids that may differ.
///
/// They can when one starts with what stands before the other's placeholder, one ends with what stands behind it, and an
/// id may contain what is left over.
fn could_be_same(one: &str, other: &str) -> bool {
    let Some(((before, behind), (other_before, other_behind))) = around(one).zip(around(other)) else {
        return false;
    };

    let left_over = [
        before
            .strip_prefix(other_before)
            .or_else(|| other_before.strip_prefix(before)),
        behind
            .strip_suffix(other_behind)
            .or_else(|| other_behind.strip_suffix(behind)),
    ];
    // Few ids contain a mark of the notation, so a mark keeps most subjects of two kinds apart. `KetoSettings::subject` refuses
    // the others one by one.
    left_over
        .iter()
        .all(|text| text.is_some_and(|text| !text.contains([':', '#', '@', '(', ')', '"'])))
}

/// Returns what stands before and behind the placeholder.
fn around(template: &str) -> Option<(&str, &str)> {
    let (before, rest) = template.split_once('{')?;
    Some((before, rest.split_once('}')?.1))
}

/// RFC 6750 §2.1: what may stand behind `Bearer `.
pub(super) fn is_header_value(token: &Secret) -> bool {
    !token.is_empty() && token.expose().bytes().all(|byte| byte.is_ascii_graphic())
}
