//! What this machine's processor can do. What is made of that is left to `config`.

/// Whether it has instructions for AES, and for the multiplication that GCM authenticates with.
///
/// Without either of the two, AES-GCM in constant time takes several times as long as ChaCha20-Poly1305.
pub fn has_aes() -> bool {
    std::cfg_select! {
        any(target_arch = "x86", target_arch = "x86_64") => {
            is_x86_feature_detected!("aes") && is_x86_feature_detected!("pclmulqdq")
        }
        target_arch = "aarch64" => {
            std::arch::is_aarch64_feature_detected!("aes") && std::arch::is_aarch64_feature_detected!("pmull")
        }
        _ => { false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn it_agrees_with_what_the_kernel_says_of_the_processor() {
        let text = std::fs::read_to_string("/proc/cpuinfo").expect("Linux describes its processors");
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let flags = text.lines().find(|line| line.starts_with("flags") || line.starts_with("Features")).map(words);
        let flags = flags.unwrap_or_default();
        let has = |name: &str| flags.iter().any(|flag| flag == name);

        assert_eq!(has_aes(), has("aes") && (has("pclmulqdq") || has("pmull")));
    }
}
