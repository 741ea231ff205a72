use proptest::prelude::*;

use super::*;

fn environment(name: &str) -> Option<String> {
    (name == "HOST").then(|| "${env:HOST}.example".to_owned())
}

fn expanded(text: &str) -> Result<String, VariableError> {
    expand(text, environment)
}

fn only_subject(text: &str) -> Subject {
    let template = Template::parse(text).expect("known");
    template.variables().next().expect("a variable").subject().clone()
}

#[test]
fn the_environment_is_put_in_once() {
    assert_eq!(expanded("plain").as_deref(), Ok("plain"));
    assert_eq!(expanded("a-${env:HOST}-b").as_deref(), Ok("a-${env:HOST}.example-b"));
}

#[test]
fn what_cannot_be_replaced_is_an_error() {
    assert_eq!(expanded("${env:NO}"), Err(VariableError::Unset("NO".into())));
    assert_eq!(expanded("${ec2:hostname}"), Err(VariableError::Elsewhere("ec2:hostname".into())));
    assert_eq!(expanded("${env:HOST"), Err(VariableError::Unclosed));
}

#[test]
fn every_name_of_wowza_is_a_metadata_path() {
    for name in WOWZA_NAMES {
        let Subject::Ec2(path) = only_subject(&format!("${{{WOWZA_PREFIX}{name}}}")) else {
            panic!("{name} is asked elsewhere");
        };
        assert!(ec2::is_path(&path), "{path}");
    }
    let public = only_subject("${com.wowza.amazonaws.ec2.AWSEC2_METADATA_PUBLIC_IPV4}");
    assert_eq!(public, only_subject("${ec2:public-ipv4}"));
}

#[test]
fn addresses_are_asked_of_their_interface() {
    assert_eq!(only_subject("${interface:eth0.7}"), Subject::InterfaceV4("eth0.7".into()));
    assert_eq!(only_subject("${interface6:wg-1}"), Subject::InterfaceV6("wg-1".into()));
}

#[test]
fn unknown_variables_and_bad_names_are_told_apart() {
    for text in ["${}", "${HOST}", "${ec3:x}", "${com.wowza.wms.AppHome}", "${Env:HOST}"] {
        assert!(matches!(Template::parse(text), Err(VariableError::Unknown(_))), "{text}");
    }
    let lower = format!("${{{WOWZA_PREFIX}public_ipv4}}");
    assert!(matches!(Template::parse(&lower), Err(VariableError::Unknown(_))));
    for text in [
        "${env:}",
        "${env:A=B}",
        "${env:${env:HOST}}",
        "${ec2:}",
        "${ec2:/public-ipv4}",
        "${ec2:tags/../iam}",
        "${ec2:a?b}",
        "${ec2:a b}",
        "${ec2:a\r\nX: y}",
        "${interface:}",
        "${interface:../../etc}",
        "${interface6:a-name-that-is-too-long}",
    ] {
        let error = Template::parse(text).expect_err("refused");
        assert!(matches!(error, VariableError::BadName { .. }), "{text}: {error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}

#[test]
fn a_template_is_filled_in_order_and_shown_as_written() {
    let text = "a-${ec2:ami-launch-index}.${interface:eth0}-${env:HOST}";
    let template = Template::parse(text).expect("known");
    assert_eq!(template.to_string(), text);
    let template = template.with_environment(environment).expect("set");
    assert_eq!(template.variables().count(), 2, "the environment is put in already");
    let filled = template.fill(|variable| match variable.subject() {
        Subject::Ec2(path) => Ok(path.clone()),
        _ => Err(variable.to_string()),
    });
    assert_eq!(filled, Err("${interface:eth0}".to_owned()));
}

proptest! {
    #[test]
    fn text_without_variables_stays_as_it_is(text in "[^$]{0,40}") {
        prop_assert_eq!(expanded(&text), Ok(text));
    }

    #[test]
    fn what_is_read_is_shown_as_it_was(text in "([a-z.$}]|\\$\\{(ec2|env|interface)?:?[a-z./]{0,4}\\}){0,12}") {
        if let Ok(template) = Template::parse(&text) {
            prop_assert_eq!(template.to_string(), text);
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = expanded(&text);
    }
}
