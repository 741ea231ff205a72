//! From an application to an edge's URL.

use std::net::IpAddr;

use rand::Rng;
use tidegate_control::{
    clock::Now,
    pick::{Picked, Wanted, pick},
    publish::Snapshot,
};
use tidegate_proto::edge::{EdgeId, Scheme};

use super::{
    ConnectAnswer, ConnectQuestion, SplicePlan,
    asked::{Asked, Unusable},
};
use crate::answer::{
    Rules,
    apps::{App, Mode},
    lead::{Lead, lead},
    origin,
    overflow::Target,
    scheme::{self, is_rtmp},
};

/// What clients read out of a description as an order to authenticate.
const MISREAD: [&str; 3] = ["authmod=", "code=403 need auth", "?reason="];

/// How the client gets to its edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Redirect,
    Reconnect,
    Splice,
}

/// What a client wants, as far as that can be said without an edge.
#[derive(Debug, Clone, PartialEq)]
pub struct Route<'a> {
    app: &'a App,
    manner: Manner,
    scheme: Scheme,
    client: IpAddr,
    /// The port the client reached.
    port: u16,
    path: String,
    query: Option<String>,
    query_in_app: bool,
}

impl Rules {
    /// What a client wants.
    ///
    /// # Errors
    /// The answer, where none needs an edge.
    pub fn route(&self, question: &ConnectQuestion<'_>) -> Result<Route<'_>, ConnectAnswer> {
        if self.ignores(question.client) {
            return Err(ConnectAnswer::Ignored);
        }
        let asked = Asked::of(question).map_err(|why| match why {
            Unusable::Absent => ConnectAnswer::NoApp,
            Unusable::Invalid => ConnectAnswer::AppInvalid,
        })?;
        let app = self.apps.find(asked.path).ok_or(ConnectAnswer::UnknownApp)?;
        if !app.redirect_on_connect && !asked.insists() {
            return Err(ConnectAnswer::Accept);
        }
        let manner = manner(app, question);
        let scheme = match manner {
            Manner::Splice => Scheme::Rtmp,
            Manner::Redirect | Manner::Reconnect => self.rtmp_scheme(app, &asked, question.scheme),
        };
        Ok(Route {
            app,
            manner,
            scheme,
            client: question.client,
            port: question.port,
            path: app.on_the_edge(asked.path).to_owned(),
            query: asked.query.map(str::to_owned),
            query_in_app: asked.query_in_app,
        })
    }

    fn rtmp_scheme(&self, app: &App, asked: &Asked<'_>, carrier: Scheme) -> Scheme {
        let set = app.redirect_scheme.or(self.redirect_scheme.filter(|scheme| is_rtmp(*scheme)));
        set.unwrap_or_else(|| scheme::of_client(asked.scheme, carrier))
    }
}

fn manner(app: &App, question: &ConnectQuestion<'_>) -> Manner {
    if app.mode == Mode::Splice && !scheme::is_tunnelled(question.scheme) {
        return Manner::Splice;
    }
    if app.reconnect_request && question.reconnects {
        return Manner::Reconnect;
    }
    Manner::Redirect
}

impl Route<'_> {
    /// Whether the client is sent away, at once or by a request to reconnect. It may come back for
    /// ever: clients have no limit of their own.
    #[must_use]
    pub fn is_redirect(&self) -> bool {
        self.manner != Manner::Splice
    }

    /// The application on the edge. A client that goes round in circles asks for the same one.
    #[must_use]
    pub fn application(&self) -> &str {
        &self.path
    }

    /// Chooses an edge that is not in `tried`, those that have failed this client. The caller holds
    /// the snapshot's guard until this has returned.
    pub fn answer(
        &self,
        tried: &[EdgeId],
        rules: &Rules,
        snapshot: &Snapshot,
        now: Now,
        random: &mut impl Rng,
    ) -> ConnectAnswer {
        // What is spliced is carried by us, so it stays within the fleet.
        let is_led = self.manner != Manner::Splice;
        let wanted = Wanted {
            port_override: self.app.redirect_port.or(rules.redirect_port),
            tried,
            path: &self.path,
            client: Some(self.client),
            has_overflow: is_led && rules.overflow.serves(Some(self.scheme)),
            ..Wanted::new(Some(self.scheme), self.port, &rules.own)
        };
        let led = if is_led {
            lead(&wanted, rules, snapshot, now, random)
        } else {
            pick(snapshot, &wanted, now.monotonic, random).map(Lead::Edge)
        };
        match led {
            Ok(Lead::Edge(picked)) => self.lead_to(picked),
            Ok(Lead::Overflow(place)) => self.overflow_to(place),
            Err(reason) => ConnectAnswer::NoEdge(reason),
        }
    }

    fn overflow_to(&self, place: &Target) -> ConnectAnswer {
        let origin = place.origin();
        ConnectAnswer::Overflow {
            url: origin.clone() + &self.target(),
            description: self.description(&origin),
            reconnects: self.manner == Manner::Reconnect,
        }
    }

    fn lead_to(&self, picked: Picked) -> ConnectAnswer {
        let origin = origin(picked.scheme, &picked.edge.redirect_address, picked.port);
        let url = origin.clone() + &self.target();
        match self.manner {
            Manner::Redirect => {
                ConnectAnswer::Redirect { url, description: self.description(&origin) }
            }
            Manner::Reconnect => ConnectAnswer::Reconnect(url),
            Manner::Splice => {
                let query = self.query.as_deref().filter(|_| self.query_in_app);
                let app = with_query(self.path.clone(), query);
                ConnectAnswer::Splice(Box::new(SplicePlan { picked, app, tc_url: url }))
            }
        }
    }

    fn target(&self) -> String {
        with_query(format!("/{}", self.path), self.query.as_deref())
    }

    /// The URL without its query, which may hold a secret.
    fn description(&self, origin: &str) -> String {
        let path = self.path.to_ascii_lowercase();
        if MISREAD.iter().any(|words| path.contains(words)) {
            return format!("redirect to {origin}");
        }
        format!("redirect to {origin}/{}", self.path)
    }
}

fn with_query(path: String, query: Option<&str>) -> String {
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    }
}
