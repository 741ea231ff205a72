//! From the configuration to what each part of the server is given.

use std::{
    collections::HashSet,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use ipnet::IpNet;
use tidegate_control::{admin, fleet::Fleet, json::to_json, message::edge_message_at};
use tidegate_proto::{admin::ListEdgesResponse, edge::Scheme};

use super::{StartError, bad, open_files::Room};
use crate::{
    answer::{Rules as AnswerRules, apps::Apps, overflow::Overflow},
    clients::{Clients, RtmpLimits, http, rtmp},
    config::{self, Config},
    front::{Limits as FrontLimits, Services, Tls},
    gate::{AllowedHosts, Limits as GateLimits, Rules as GateRules},
    ops::{self, OpsAccess},
    own,
};

pub(super) async fn bind_admin(config: &Config, fleet: Fleet) -> Result<admin::Bound, StartError> {
    admin::bind(admin_settings(config)?, fleet).await.map_err(|error| match error {
        admin::BindError::Settings(said) => StartError::Configuration(said),
        other => StartError::System(other.to_string()),
    })
}

pub(super) fn client_limits(config: &Config, room: Room) -> FrontLimits {
    FrontLimits {
        connections_max: room.connections,
        connections_per_address_max: config.client.connections_per_address_max as usize,
        ..FrontLimits::CLIENTS
    }
}

/// Where clients come in, for the admin API's explanations.
pub(super) fn entrance(rules: &AnswerRules, bound: &[SocketAddr]) -> admin::Entrance {
    let schemes = std::iter::once(None).chain(Scheme::ALL.into_iter().map(Some));
    admin::Entrance {
        port: bound.first().map_or(0, SocketAddr::port),
        redirect_port: rules.redirect_port,
        redirect_scheme: rules.redirect_scheme,
        own: rules.own.clone(),
        overflow_for: schemes.filter(|scheme| rules.overflow.serves(*scheme)).collect(),
    }
}

/// What is spoken on the clients' port, and by whom it is answered.
pub(super) fn client_services(clients: Clients, tls: Option<Arc<Tls>>) -> Services {
    Services {
        rtmp: Some(rtmp::service(clients.clone())),
        tls,
        trusted_proxies: clients.rules.trusted_proxies.clone().into(),
        ..Services::new(http::routes(clients))
    }
}

pub(super) fn rtmp_limits(config: &Config, room: Room) -> RtmpLimits {
    let client = &config.client;
    RtmpLimits {
        redirects_per_second: client.rtmp_redirects_per_second,
        redirects_burst: client.rtmp_redirects_burst,
        rtmpt_sessions_max: client.rtmpt_sessions_max as usize,
        splices_max: room.splices,
    }
}

pub(super) fn gate_rules(config: &Config) -> Result<GateRules, StartError> {
    let heartbeat = &config.heartbeat;
    let hosts = AllowedHosts::parse(&heartbeat.allowed_redirect_hosts).map_err(bad)?;
    let parse = |text: &String| {
        text.parse().map_err(|error| {
            StartError::Configuration(format!("heartbeat.allowed_edges: {text:?}: {error}"))
        })
    };
    let edges = match heartbeat.allowed_edges.as_slice() {
        [] => None,
        listed => Some(listed.iter().map(parse).collect::<Result<_, _>>()?),
    };
    let limits = GateLimits { edges_max: heartbeat.edges_max as usize, ..GateLimits::default() };
    Ok(GateRules { hosts, edges, limits })
}

pub(super) fn answer_rules(
    config: &Config,
    bound: &[SocketAddr],
) -> Result<AnswerRules, StartError> {
    let interfaces = own::interface_addresses().unwrap_or_else(|error| {
        tracing::warn!(%error, "the interfaces' addresses are unknown; only the bound ones count as own");
        Vec::new()
    });
    let client = &config.client;
    let own = own::own_addresses(bound, &interfaces);
    Ok(AnswerRules {
        overflow: overflow(config, &own)?,
        redirect_scheme: config.redirect_scheme().map_err(bad)?,
        redirect_port: (client.redirect_port != 0).then_some(client.redirect_port),
        server_info_xml: client.server_info_xml,
        ignore_clients: networks("client.ignore_clients", &client.ignore_clients)?,
        trusted_proxies: networks("client.trusted_proxies", &client.trusted_proxies)?,
        own,
        apps: Apps::new(config.rtmp_apps().map_err(bad)?),
    })
}

/// Where clients go when no edge can serve, which is never `own`.
pub(super) fn overflow(
    config: &Config,
    own: &HashSet<(IpAddr, u16)>,
) -> Result<Overflow, StartError> {
    let overflow = config.overflow().map_err(bad)?;
    match overflow.leading_back(own) {
        None => Ok(overflow),
        Some(place) => Err(StartError::Configuration(format!(
            "selection.overflow: {:?} will not do: this redirector listens there itself; name \
             another place",
            place.origin()
        ))),
    }
}

fn networks(key: &str, texts: &[String]) -> Result<Vec<IpNet>, StartError> {
    config::networks(key, texts).map_err(bad)
}

pub(super) fn admin_settings(config: &Config) -> Result<admin::Settings, StartError> {
    let admin = &config.admin;
    Ok(admin::Settings {
        listen: config.admin_address().map_err(bad)?,
        reflection: admin.reflection,
        insecure: admin.insecure,
        tls_cert: admin.tls_cert.clone(),
        tls_key: admin.tls_key.clone(),
        client_ca: admin.client_ca.clone(),
        tokens_file: admin.tokens_file.clone(),
        redirector: redirector_name(),
    })
}

/// What audit records call this process.
pub(super) fn redirector_name() -> String {
    sysinfo::System::host_name().unwrap_or_else(|_| "redirector".into())
}

pub(super) fn ops_access(config: &Config, bound: SocketAddr, admin: &admin::Bound) -> OpsAccess {
    if config.ops.open || bound.ip().is_loopback() {
        return OpsAccess::Open;
    }
    let credentials = admin.credentials();
    OpsAccess::Token(Arc::new(move |token| {
        let header = token.map(|token| format!("Bearer {token}"));
        credentials.check_viewer(header.as_deref().map(str::as_bytes)).is_ok()
    }))
}

/// The fleet as `ListEdgesResponse`, all of it.
pub(super) fn fleet_page(fleet: Fleet) -> ops::Page {
    Arc::new(move || {
        let snapshot = fleet.published().copy();
        let places = 0..snapshot.fleet.edges.len();
        let edges = places.filter_map(|place| edge_message_at(&snapshot, place)).collect();
        let all = ListEdgesResponse { edges, next_page_token: String::new() };
        match to_json("ListEdgesResponse", &all) {
            Ok(json) => json.to_string(),
            Err(error) => serde_json::json!({ "error": error.to_string() }).to_string(),
        }
    })
}
