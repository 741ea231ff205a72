//! The real programs, from outside: each module is one promise of theirs.
//!
//! Every test has a redirector, a folder and ports of its own, so all run side by side.

mod admin;
mod agent;
mod browser;
mod client_urls;
mod ctl;
mod demo;
mod drain_exact;
mod durability;
mod explain;
mod flash;
mod followed_files;
mod hostile;
mod http_hostile;
mod kill;
mod leaving;
mod load;
mod main_job;
mod media_server;
mod metrics;
mod nginx_rtmp;
mod oracle;
mod players;
mod policies;
mod python_sender;
mod replaced;
mod restart;
mod rotation;
mod rtmp_follow;
mod rtmp_hostile;
mod rtmp_policy;
mod splice;
mod startup;
mod steering;
mod weight;
mod zones;
