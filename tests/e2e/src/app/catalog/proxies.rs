//! Proxies.

use crate::app::App;

impl App {
    /// nginx as a proxy.
    pub const NGINX: Self = Self::new(
        "nginx",
        "proxy",
        "two workers as a proxy, kept-alive upstream connections",
        "python3 {apps}/launch.py nginx",
    )
    .needs(&["nginx"])
    .proxy();

    /// HAProxy.
    pub const HAPROXY: Self = Self::new(
        "haproxy",
        "proxy",
        "two threads as a proxy, reused upstream connections",
        "python3 {apps}/launch.py haproxy",
    )
    .needs(&["haproxy"])
    .proxy();
}
