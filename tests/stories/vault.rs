//! Secrets that are in Vault, or in OpenBao.

use crate::harness::{POLICIES, config_text, run};

/// What `cloister` says of a configuration with these lines more, and how it ends.
fn said(command: &[&str], section: &str, key: &str) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let text = config_text(folder.path());
    let text =
        text.replace("    addresses:", &format!("    assertion: {{ binding: reuse, key: \"{key}\" }}\n    addresses:"));
    std::fs::create_dir(folder.path().join("policies")).unwrap();
    std::fs::write(folder.path().join("policies/policy.yaml"), POLICIES).unwrap();
    std::fs::write(folder.path().join("cloister.yaml"), text + section).unwrap();
    let arguments = [command, &["--config", "cloister.yaml", "--policies", "policies"]].concat();
    let (code, out, err) = run(&arguments, folder.path());
    (code, format!("{out}{err}"))
}

#[test]
fn a_check_looks_at_what_is_written_and_asks_vault_only_if_it_is_told_to() {
    let token = "vault: { address: \"http://127.0.0.1:1\", auth: { token: \"${env:PATH}\" } }\n";
    let key = "${vault:secret/cloister/orders#hmac}";
    let (code, text) = said(&["check"], token, key);
    assert!(code == 0 && text.contains("Vault was not asked for its values; --vault asks"), "{text}");
    for (what, section, key, says) in [
        ("no section", "", key, "nothing says where Vault is"),
        ("no field", token, "${vault:secret/cloister}", "${vault:MOUNT/PATH#FIELD}"),
        (
            "no way to log in",
            "vault: { address: \"http://127.0.0.1:1\", auth: {} }\n",
            key,
            "nothing says who we are to Vault",
        ),
        (
            "two ways to log in",
            "vault: { address: \"http://127.0.0.1:1\", auth: { token: \"${env:PATH}\", kubernetes: { role: a } } }\n",
            key,
            "more than one way",
        ),
        (
            "a token that is in Vault",
            "vault: { address: \"http://127.0.0.1:1\", auth: { token: \"${vault:secret/a#b}\" } }\n",
            key,
            "cannot be in Vault",
        ),
        (
            "a token that is written down",
            "vault: { address: \"http://127.0.0.1:1\", auth: { token: \"hvs.canary-secret\" } }\n",
            key,
            "a secret is not written into a file",
        ),
        (
            "a token in the address",
            "vault: { address: \"https://a:canary-secret@vault.internal\", auth: { token: \"${env:PATH}\" } }\n",
            key,
            "the address of Vault is",
        ),
        (
            "over the network",
            "vault: { address: \"http://10.0.0.1\", auth: { token: \"${env:PATH}\" } }\n",
            key,
            "https://",
        ),
        (
            "never again",
            "vault: { address: \"http://127.0.0.1:1\", refresh: 0s, auth: { token: \"${env:PATH}\" } }\n",
            key,
            "is not between",
        ),
    ] {
        let (code, text) = said(&["check"], section, key);
        assert!(code == 2 && text.contains(says) && !text.contains("canary-secret"), "{what}: {text}");
    }
}

mod slow;
