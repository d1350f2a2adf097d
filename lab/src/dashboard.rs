//! The dashboard as an administrator uses it: pages and forms, by curl on the server itself.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::host::Finished;
use crate::server::Server;

/// A signed-in administrator.
#[derive(Debug)]
pub struct Dashboard<'a> {
    server: &'a Server,
    cookies: PathBuf,
}

impl<'a> Dashboard<'a> {
    /// Becomes the first administrator by the setup link.
    pub fn set_up(server: &'a Server, cookies: PathBuf) -> Result<Self> {
        let dashboard = Self { server, cookies };
        let link = server.setup_link()?;
        let fields = [("link", link.as_str()), ("name", "admin"), ("password", "correct horse battery staple")];
        dashboard.submit("/setup", "/setup", &fields)?;
        dashboard.page("/devices")?;
        Ok(dashboard)
    }

    /// Makes an invite, and gives the line to paste on the device.
    pub fn add_device(&self) -> Result<String> {
        let page = self.submit("/devices/new", "/devices/new", &[])?;
        let line = page.split("<code id=\"command\">").nth(1).and_then(|rest| rest.split('<').next());
        line.map(str::to_owned).with_context(|| format!("no line to paste in {page}"))
    }

    /// Lets in the device that waits with this code, under the name that it gives itself.
    pub fn let_in(&self, code: &str) -> Result<()> {
        self.submit(
            &format!("/activate?code={code}"),
            "/activate/approve",
            &[("code", code), ("name", ""), ("tags", "")],
        )?;
        Ok(())
    }

    /// Keeps out the device that waits with this code.
    pub fn keep_out(&self, code: &str) -> Result<()> {
        self.submit(&format!("/activate?code={code}"), "/activate/deny", &[("code", code)])?;
        Ok(())
    }

    /// Revokes a device by its id.
    pub fn revoke(&self, device: &str) -> Result<()> {
        let path = format!("/devices/{device}/revoke");
        self.submit(&path, &path, &[])?;
        Ok(())
    }

    /// The page at that path; anything but 200 is an error.
    pub fn page(&self, path: &str) -> Result<String> {
        self.curl(path, &[])
    }

    /// Fills in and posts a form of the page `from`; gives the page it leads to.
    fn submit(&self, from: &str, to: &str, fields: &[(&str, &str)]) -> Result<String> {
        let page = self.page(from)?;
        let token = page.split("name=\"form_token\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        let token = token.with_context(|| format!("{from} has no form"))?;
        let mut words = vec!["--data-urlencode".to_owned(), format!("form_token={token}")];
        for (name, value) in fields {
            words.extend(["--data-urlencode".to_owned(), format!("{name}={value}")]);
        }
        words.push("--location".to_owned());
        self.curl(to, &words)
    }

    fn curl(&self, path: &str, words: &[String]) -> Result<String> {
        let mut command = self.server.command("curl");
        command.args(["--silent", "--show-error", "--insecure", "--write-out", "\n%{http_code}"]);
        command.arg("--cookie").arg(&self.cookies).arg("--cookie-jar").arg(&self.cookies).args(words);
        let output = Finished::run(command.arg(format!("https://{}{path}", crate::topology::RENDEZVOUS)))?.success()?;
        match output.rsplit_once('\n') {
            Some((page, "200" | "303")) => Ok(page.to_owned()),
            _ => bail!("{path}: {output}"),
        }
    }
}
