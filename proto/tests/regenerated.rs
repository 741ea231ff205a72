//! The committed code in `src/gen` is what the .proto files say.

use std::{fs, path::Path};

const SOURCES: [&str; 2] =
    ["tidegate/admin/v1/fleet.proto", "tidegate/heartbeat/v1/heartbeat.proto"];

fn generate(out: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let all = protox::compile(SOURCES, [root]).expect("the .proto files compile");
    tonic_prost_build::configure()
        .out_dir(out)
        .emit_rerun_if_changed(false)
        .btree_map(".")
        .compile_fds(all)
        .expect("code is generated");
    let admin = protox::Compiler::new([root])
        .expect("the folder is there")
        .include_imports(true)
        .include_source_info(false)
        .open_files(SOURCES)
        .expect("the .proto files compile")
        .encode_file_descriptor_set();
    fs::write(out.join("admin.binpb"), admin).expect("the descriptor set is written");
    let _ = fs::remove_file(out.join("google.protobuf.rs"));
}

#[test]
fn committed_code_is_what_the_sources_say() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/gen");
    if std::env::var_os("TIDEGATE_REGENERATE").is_some() {
        return generate(&committed);
    }
    let fresh = tempfile::tempdir().expect("a temporary folder");
    generate(fresh.path());
    for name in ["tidegate.admin.v1.rs", "tidegate.heartbeat.v1.rs", "admin.binpb"] {
        let made = fs::read(fresh.path().join(name)).expect("generated");
        let kept = fs::read(committed.join(name)).unwrap_or_default();
        assert!(made == kept, "src/gen/{name} is stale: run this test with TIDEGATE_REGENERATE=1");
    }
}
