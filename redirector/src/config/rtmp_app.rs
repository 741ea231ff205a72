//! The rules of `[[client.rtmp_app]]`.

use tidegate_proto::{edge::Scheme, settings::SettingsError};

use super::{
    Config, RtmpApp,
    check::{refused, scheme},
};
use crate::answer::{
    apps::{ANY, App, Mode, is_path},
    scheme::is_rtmp,
};

impl Config {
    /// `[[client.rtmp_app]]`, every entry checked.
    pub fn rtmp_apps(&self) -> Result<Vec<App>, SettingsError> {
        let apps = &self.client.rtmp_app;
        for (place, app) in apps.iter().enumerate() {
            if apps[..place].iter().any(|earlier| earlier.name == app.name) {
                let hint = "two entries have this name; join them";
                return Err(refused("client.rtmp_app.name", &app.name, hint));
            }
        }
        apps.iter().map(RtmpApp::checked).collect()
    }
}

impl RtmpApp {
    fn checked(&self) -> Result<App, SettingsError> {
        if self.name != ANY && (self.name.contains('/') || !is_path(&self.name)) {
            let hint = "it is the first segment of an application, without slashes, or * for any";
            return Err(self.refused("name", &self.name, hint));
        }
        let mode = match self.mode.as_str() {
            "redirect" => Mode::Redirect,
            "splice" => Mode::Splice,
            other => return Err(self.refused("mode", other, "it is redirect or splice")),
        };
        let app = App {
            name: self.name.clone(),
            mode,
            redirect_app: self.redirect_app()?,
            redirect_scheme: self.redirect_scheme()?,
            redirect_port: (self.redirect_port != 0).then_some(self.redirect_port),
            redirect_on_connect: self.redirect_on_connect,
            reconnect_request: self.reconnect_request,
        };
        if mode == Mode::Splice {
            self.check_splice(&app)?;
        }
        Ok(app)
    }

    fn redirect_app(&self) -> Result<Option<String>, SettingsError> {
        // Wowza's redirectAppName may begin with a slash.
        let path = self.redirect_app.strip_prefix('/').unwrap_or(&self.redirect_app);
        if self.redirect_app.is_empty() {
            return Ok(None);
        }
        if !is_path(path) {
            let hint = "it is the application on the edge, such as live or live/_definst_, \
                        without a scheme, a host or a query";
            return Err(self.refused("redirect_app", &self.redirect_app, hint));
        }
        Ok(Some(path.to_owned()))
    }

    fn redirect_scheme(&self) -> Result<Option<Scheme>, SettingsError> {
        let set = scheme(&self.key("redirect_scheme"), &self.redirect_scheme)?;
        if set.is_some_and(|scheme| !is_rtmp(scheme)) {
            let hint = "it is rtmp, rtmps, rtmpt or rtmpts";
            return Err(self.refused("redirect_scheme", &self.redirect_scheme, hint));
        }
        Ok(set)
    }

    /// A spliced client is never told where the edge is, so nothing that tells it applies.
    fn check_splice(&self, app: &App) -> Result<(), SettingsError> {
        let hint = if self.reconnect_request {
            "leave reconnect_request out, or use mode = \"redirect\""
        } else if !self.redirect_on_connect {
            "leave redirect_on_connect out, or use mode = \"redirect\""
        } else if app.redirect_scheme.is_some_and(|scheme| scheme != Scheme::Rtmp) {
            "edges are reached by plain rtmp; leave redirect_scheme out, or use mode = \"redirect\""
        } else {
            return Ok(());
        };
        Err(self.refused("mode", &self.mode, hint))
    }

    fn refused(&self, key: &str, given: &str, hint: &str) -> SettingsError {
        refused(&self.key(key), given, hint)
    }

    fn key(&self, key: &str) -> String {
        format!("client.rtmp_app.{key} of {:?}", self.name)
    }
}
