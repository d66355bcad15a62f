use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

fn with_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn secret(folder: &Path) -> PathBuf {
    let path = folder.join("key");
    fs::write(&path, "k").unwrap();
    with_mode(&path, 0o600);
    path
}

#[test]
fn a_file_that_others_may_touch_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = secret(folder.path());
    for (mode, fit) in [
        (0o600, true),
        (0o400, true),
        (0o700, true),
        (0o640, false),
        (0o604, false),
        (0o620, false),
        (0o602, false),
        (0o601, false),
        (0o666, false),
    ] {
        with_mode(&path, mode);
        assert_eq!(read_private(&path).is_ok(), fit, "{mode:04o}");
    }
}

#[test]
fn a_file_in_a_folder_where_others_can_replace_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = secret(folder.path());
    for (mode, fit) in [(0o755, true), (0o1777, true), (0o777, false), (0o775, false), (0o757, false)] {
        with_mode(folder.path(), mode);
        assert_eq!(read_private(&path).is_ok(), fit, "{mode:04o}");
    }
    with_mode(folder.path(), 0o700);
}

#[test]
fn what_a_link_leads_to_is_judged_and_not_the_link() {
    let folder = tempfile::tempdir().unwrap();
    let path = secret(folder.path());
    let link = folder.path().join("link");
    symlink(&path, &link).unwrap();
    assert_eq!(read_private(&link).unwrap().expose(), b"k");

    let open = folder.path().join("open");
    fs::create_dir(&open).unwrap();
    with_mode(&open, 0o777);
    fs::rename(&path, open.join("key")).unwrap();
    fs::remove_file(&link).unwrap();
    symlink(open.join("key"), &link).unwrap();
    assert!(matches!(read_private(&link), Err(PrivateFileError::Folder { .. })));
}

#[test]
fn what_is_not_a_regular_file_is_refused_without_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    assert!(matches!(read_private(&pipe), Err(PrivateFileError::Kind(_))));
    assert!(matches!(read_private(folder.path()), Err(PrivateFileError::Kind(_))));
    assert!(matches!(read_private(&folder.path().join("absent")), Err(PrivateFileError::Read { .. })));
}

#[test]
fn a_file_of_another_user_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = secret(folder.path());
    if std::os::unix::fs::chown(&path, Some(65_534), None).is_err() {
        return; // only root can give a file away, and only root could read it then
    }
    assert!(matches!(read_private(&path), Err(PrivateFileError::Owner { owner: 65_534, .. })));
}

#[test]
fn a_private_file_is_written_once_and_can_be_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    assert!(create_private(&path, &Secret::new(b"first".to_vec())).unwrap());
    assert!(!create_private(&path, &Secret::new(b"second".to_vec())).unwrap());
    assert_eq!(read_private(&path).unwrap().expose(), b"first");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left behind");
    assert!(matches!(
        create_private(&folder.path().join("absent/key"), &Secret::new(Vec::new())),
        Err(PrivateFileError::Create { .. })
    ));
}
