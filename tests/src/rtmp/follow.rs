//! A client that follows a redirect by the rules of the one librtmp that does, and of the Flash
//! players: a rejection that differs in any of them is not followed.

use super::{
    amf::Value,
    client::{Answer, Client, Rejection, connect},
    transport::Trust,
    url::RtmpUrl,
};

/// What happened on the way.
#[derive(Debug)]
pub struct Followed {
    /// The refusal that led on.
    pub rejection: Rejection,
    /// Where it led: a tcUrl.
    pub redirect: String,
    /// Connected there.
    pub client: Client,
    /// The stream, as the first URL named it.
    pub stream: String,
}

impl Rejection {
    /// Where it leads, or the rule that it breaks.
    pub fn redirect(&self) -> Result<&str, String> {
        let rule = |holds: bool, rule: &str| {
            if holds { Ok(()) } else { Err(format!("not followed: {rule}; it was {self:?}")) }
        };
        let [name, transaction, object, info] = &self.command[..] else {
            return Err(format!("not followed: four values; it was {self:?}"));
        };
        rule(name.as_str() == Some("_error"), "the command is _error")?;
        rule(transaction.as_number() == Some(1.0), "connect's transaction comes back")?;
        rule(*object == Value::Null, "the command object is null")?;
        let text = |name: &str| info.get(name).and_then(Value::as_str);
        rule(text("level") == Some("error"), "level is error")?;
        rule(text("code") == Some("NetConnection.Connect.Rejected"), "the code says Rejected")?;
        rule(text("description").is_some_and(|text| !text.is_empty()), "a description is there")?;
        let ex = info.get("ex");
        rule(matches!(ex, Some(Value::Object(_))), "ex is an object (0x03)")?;
        let ex = ex.unwrap_or(&Value::Null);
        rule(ex.get("code") == Some(&Value::Number(302.0)), "ex.code is the number 302")?;
        let redirect = ex.get("redirect").and_then(Value::as_str);
        rule(redirect.is_some(), "ex.redirect is a string")?;
        rule(self.closed, "close follows")?;
        Ok(redirect.unwrap_or_default())
    }

    /// The description, for people.
    #[must_use]
    pub fn description(&self) -> &str {
        let description = self.command.get(3).and_then(|info| info.get("description"));
        description.and_then(Value::as_str).unwrap_or_default()
    }
}

/// Is refused at the redirector.
#[track_caller]
pub fn rejected(url: &RtmpUrl, trust: Option<&Trust>) -> Rejection {
    match connect(url, trust) {
        Ok(Answer::Rejected(rejection)) => rejection,
        Ok(Answer::Accepted(_)) => panic!("{url:?} was accepted"),
        Err(error) => panic!("{url:?}: {error}"),
    }
}

/// Is refused at the redirector and accepted where that leads.
#[track_caller]
pub fn follow(url: &RtmpUrl, trust: Option<&Trust>) -> Followed {
    let rejection = rejected(url, trust);
    let redirect = rejection.redirect().unwrap_or_else(|why| panic!("{url:?}: {why}")).to_owned();
    let led = RtmpUrl::tc(&redirect).unwrap_or_else(|why| panic!("{url:?}: {why}"));
    assert!(led.port_is_written, "without a port the old one would be used: {redirect}");
    assert_ne!((&led.host, led.port), (&url.host, url.port), "{redirect} leads back");
    let client = match connect(&led, trust) {
        Ok(Answer::Accepted(client)) => client,
        Ok(Answer::Rejected(again)) => panic!("{redirect} refused: {again:?}"),
        Err(error) => panic!("{redirect}: {error}"),
    };
    Followed { rejection, redirect, client, stream: url.stream.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejection(name: &str, info: Value) -> Rejection {
        let command = vec![Value::text(name), Value::Number(1.0), Value::Null, info];
        Rejection { command, closed: true, ended: true }
    }

    fn info(ex: Value) -> Value {
        Value::object([
            ("level", Value::text("error")),
            ("code", Value::text("NetConnection.Connect.Rejected")),
            ("description", Value::text("elsewhere")),
            ("ex", ex),
        ])
    }

    fn ex(code: Value) -> Value {
        Value::object([("code", code), ("redirect", Value::text("rtmp://e.example:1/live"))])
    }

    #[test]
    fn only_the_one_rejection_is_followed() {
        let proper = rejection("_error", info(ex(Value::Number(302.0))));
        assert_eq!(proper.redirect(), Ok("rtmp://e.example:1/live"));
        let Value::Object(properties) = ex(Value::Number(302.0)) else { panic!("an object") };
        let mut unanswered = proper.clone();
        unanswered.command[1] = Value::Number(0.0);
        for wrong in [
            rejection("onStatus", info(ex(Value::Number(302.0)))),
            rejection("_error", info(ex(Value::text("302")))),
            rejection("_error", info(ex(Value::Number(301.0)))),
            rejection("_error", info(Value::EcmaArray(properties))),
            rejection("_error", info(Value::object([("code", Value::Number(302.0))]))),
            rejection("_error", ex(Value::Number(302.0))),
            rejection("_error", Value::Null),
            Rejection { closed: false, ..proper.clone() },
            Rejection { command: proper.command[..3].to_vec(), ..proper },
            unanswered,
        ] {
            assert!(wrong.redirect().is_err(), "{wrong:?}");
        }
    }
}
