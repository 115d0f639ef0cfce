//! Archives of a few small files.

/// A tar archive of these names and contents, whose mode is 640 and whose owner and group exist nowhere.
pub fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    const NOBODY: u64 = 4_000_000;
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o640);
        header.set_uid(NOBODY);
        header.set_gid(NOBODY);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content.as_bytes()).expect("a name that fits");
    }
    tar.into_inner().expect("writing to memory works")
}
