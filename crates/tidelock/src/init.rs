//! `tidelock init`: a new installation.

use anyhow::{Context, bail};
use network::{Network, NewToken, Settings, TokenKind};
use rules::{
    UserId,
    record::{InstallationRole, Scope},
};
use store::Opening;
use uuid::Uuid;

use crate::installation::Installation;

#[derive(clap::Args)]
pub(crate) struct Init {
    #[command(flatten)]
    installation: Installation,

    /// Give the installation a test clock, which operators advance: for tests of windows and
    /// deadlines. It can never become an installation for real money, nor the other way round
    #[arg(long)]
    test_clock: bool,
}

impl Init {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let token = initialise(&self.installation, self.test_clock).await?;
        println!(
            "The installation is in {}.",
            self.installation.data.display()
        );
        if self.test_clock {
            println!("It has a test clock: it is for tests, and never for real money.");
        }
        println!("Its first operator's access token, shown this once:\n");
        println!("{}\n", token.as_str());
        println!(
            "Start the network with `tidelock serve`, and act on it with `tidelock operator`."
        );
        Ok(())
    }
}

/// Makes keys, database and first operator; the operator's token.
pub(crate) async fn initialise(
    installation: &Installation,
    test_clock: bool,
) -> anyhow::Result<String> {
    installation.make_keys()?;
    let opening = Opening {
        test_clock,
        ..Opening::default()
    };
    let store = installation.open_store_as(opening).await?;
    let tokens = store.access_tokens(None).await;
    if !tokens.context("the database cannot be read")?.is_empty() {
        store.close().await;
        bail!("this installation has access tokens already: an operator issues further ones");
    }
    if store.test_clock().is_some() != test_clock {
        store.close().await;
        bail!(
            "the database was begun {} a test clock, which stays so: take another database",
            if test_clock { "without" } else { "with" }
        );
    }
    let network = Network::start(
        store,
        installation.partner_caller()?,
        installation.read_master_key()?,
        Settings::default(),
    );
    let issued = new_operator(&network, "first operator", "made by tidelock init").await;
    network.close().await;
    issued
}

/// Makes an operator of this name; its token, which bears the label.
pub(crate) async fn new_operator(
    network: &Network,
    name: &str,
    label: &str,
) -> anyhow::Result<String> {
    let hand = network.installation();
    let user_id = UserId(Uuid::new_v4());
    let role = Some(InstallationRole::Operator);
    hand.put_user(user_id, name.to_owned(), role).await?;
    let issued = hand
        .issue_token(NewToken {
            user_id,
            label: label.to_owned(),
            kind: TokenKind::Plain,
            scopes: vec![Scope::Installation],
            networks: Vec::new(),
            expires_at: None,
        })
        .await?;
    Ok(issued.token.to_string())
}
