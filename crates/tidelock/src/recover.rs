//! `tidelock recover`: operators again, where nobody can act as one any more.

use network::{Network, Settings};
use store::Opening;

use crate::{init::new_operator, installation::Installation};

/// A new operator with a token, from the machine that holds the keys of the installation. One operator
/// is then enough for acts on money: switch the second one on again as soon as there are two.
///
/// It is on record as an act of the installation itself. Stop the network first if it runs on SQLite.
#[derive(clap::Args)]
pub(crate) struct Recover {
    #[command(flatten)]
    installation: Installation,
}

impl Recover {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let master_key = self.installation.read_master_key()?;
        let opening = Opening {
            create: false,
            ..Opening::default()
        };
        let store = self.installation.open_store_as(opening).await?;
        let caller = self.installation.partner_caller()?;
        let network = Network::start(store, caller, master_key, Settings::default());
        let recovered = recovered(&network).await;
        network.close().await;
        let token = recovered?;
        println!("Acts on money need one operator only now.");
        println!("A new operator's access token, shown this once:\n");
        println!("{token}");
        Ok(())
    }
}

async fn recovered(network: &Network) -> anyhow::Result<String> {
    let hand = network.installation();
    hand.set_approval_policy(Some(false), None).await?;
    new_operator(network, "recovered operator", "made by tidelock recover").await
}
