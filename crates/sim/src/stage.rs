//! The stage of a run: currencies, enterprises, partners and connections, set up while nothing
//! fails, and the actors on it.

use std::sync::{Arc, Mutex};

use network::{Network, PartnerRequest};
use rules::{
    EnterpriseId, PartnerId, UserId,
    record::{
        Activation, AmountFormat, InstallationRole, KeySchema, PartnerConfiguration,
        PartnerCurrency, PartnerRoutes,
    },
};
use uuid::Uuid;

use crate::{
    actors::{Client, Operator, Party, Suspendable, Trader, amount},
    exchange::Exchange,
    world::{World, enterprise},
};

/// Everybody who acts.
pub(crate) struct Stage {
    pub(crate) clients: Vec<Client>,
    pub(crate) traders: Vec<Trader>,
    pub(crate) operator: Operator,
}

impl Stage {
    pub(crate) async fn set(world: &Arc<World>) -> anyhow::Result<Stage> {
        let server = world.server().await;
        let network = &server.network;
        let hand = network.installation();
        for (currency, decimals) in world.currencies.iter().zip([8, 2]) {
            let backing = currency.to_string();
            hand.put_currency(currency.clone(), backing, decimals, "vault".to_owned())
                .await?;
        }
        let (mut traders, mut suspendable) = (Vec::new(), Vec::new());
        for (place, exchange) in world.exchanges.iter().enumerate() {
            let number = u8::try_from(100 + place)?;
            let party = join(network, enterprise("partner", exchange.number), number).await?;
            let staged = place == 0 && world.plan.staged == 1;
            let partner = create_partner(world, network, exchange, &party, staged).await?;
            suspendable.push(Suspendable::Partner(partner));
            traders.push(Trader {
                place,
                party,
                staged,
                ignored: Mutex::default(),
                settled: Mutex::default(),
                not_begun: Mutex::default(),
                corrected: Mutex::default(),
            });
        }
        let deciding = [UserId(Uuid::from_u128(1)), UserId(Uuid::from_u128(2))];
        for user in deciding {
            let role = Some(InstallationRole::Operator);
            hand.put_user(user, "an operator".to_owned(), role).await?;
        }
        hand.set_approval_policy(Some(true), None).await?;
        let mut clients = Vec::new();
        for number in 0..world.plan.clients {
            let id = World::client_enterprise(number);
            let party = join(network, id, u8::try_from(1 + number)?).await?;
            let client = network.become_client(&party.caller).await?;
            suspendable.push(Suspendable::Client(client.id));
            clients.push(Client {
                number,
                party,
                connections: Vec::new(),
                wants_active: Mutex::default(),
                asked: Mutex::default(),
                disputes: Mutex::default(),
            });
        }
        let parties = clients.iter().map(|client| &client.party);
        let parties = parties.chain(traders.iter().map(|trader| &trader.party));
        let operator = Operator {
            accounts: parties.map(|party| party.go_account).collect(),
            deposited: Mutex::default(),
            open: Mutex::default(),
            seen_waiting: Mutex::default(),
            deciding,
            suspendable,
        };
        let clients_accounts = clients.len();
        for (place, account) in operator.accounts.iter().enumerate() {
            // Partners have little, so that not every settlement can be funded.
            let units = if place < clients_accounts { 2_000 } else { 300 };
            for currency in &world.currencies {
                let deposit = network::Movement {
                    go_account_id: *account,
                    currency: currency.clone(),
                    amount: amount(units),
                    external_reference: format!("first-{}", world.next_number()),
                };
                operator.deposit(world, deposit).await;
            }
        }
        Ok(Stage {
            clients,
            traders,
            operator,
        })
    }

    /// Connects every client with every partner; from here on things may fail.
    pub(crate) async fn connect(&mut self, world: &Arc<World>) {
        for client in &mut self.clients {
            for exchange in &world.exchanges {
                let name = format!("{}-{}", client.number, exchange.number);
                let told = client.connect(world, exchange, &name).await;
                match told {
                    Ok(connection) => {
                        client.connections.push(connection.id.0);
                        let suspendable = Suspendable::Connection(connection.id);
                        self.operator.suspendable.push(suspendable);
                    }
                    Err(_) if world.violation().is_some() => return,
                    Err(failure) => {
                        world.broken("a partner accepts who is its own", failure.to_string());
                    }
                }
            }
        }
    }
}

/// Makes a licensed enterprise with a Go Account and a key.
async fn join(network: &Network, id: EnterpriseId, number: u8) -> anyhow::Result<Party> {
    let party = Party::new(id.clone(), number)?;
    let hand = network.installation();
    let (name, trust) = (id.to_string(), "trust".to_owned());
    hand.put_enterprise(id.clone(), name, trust, true).await?;
    hand.put_user(party.caller.user_id, "somebody".to_owned(), None)
        .await?;
    hand.open_go_account(party.go_account, id, "main".to_owned())
        .await?;
    let key = party.key.public_key().to_hex();
    hand.add_signing_key(party.go_account, key, "main".to_owned())
        .await?;
    Ok(party)
}

async fn create_partner(
    world: &World,
    network: &Network,
    exchange: &Exchange,
    party: &Party,
    staged: bool,
) -> anyhow::Result<PartnerId> {
    let institution = format!("exchange-{}", exchange.number);
    let currencies = world.currencies.iter().map(|ticker| PartnerCurrency {
        ticker: ticker.clone(),
        partner_names: vec![ticker.to_string()],
        minimum: None,
        maximum: None,
        open_total: Some(amount(2_500)),
    });
    let configuration = PartnerConfiguration {
        enterprise_id: party.caller.enterprise.id.clone(),
        institution_identifier: institution.clone(),
        version: 1,
        base_url: format!("http://exchange-{}.test", exchange.number),
        routes: PartnerRoutes::default(),
        signature_header: "X-Signature".to_owned(),
        jwt_key_id: "default".to_owned(),
        call_timeout_ms: i64::try_from(world.plan.call_timeout_ms)?,
        allowed_networks: Vec::new(),
        allocations: exchange.allocations,
        deallocations: exchange.deallocations,
        amount_format: AmountFormat::BaseUnits,
        currencies: currencies.collect(),
        public_key: None,
        on_chain: world.plan.on_chain == 1,
        activation: Activation::Immediate,
        release_unanswered_after_s: i64::try_from(world.plan.release_after_s)?,
        on_chain_late_after_s: 86_400,
        updated_at: ledger::Timestamp(0),
    };
    network
        .installation()
        .put_configuration(configuration)
        .await?;
    let request = PartnerRequest {
        name: institution.clone(),
        broker: false,
        institution_id: None,
        institution_identifier: institution,
        key_schema: KeySchema::Token,
        dispute_window_minutes: staged.then_some(1),
        top_up_window_minutes: staged.then_some(1),
        allocation_policies_enabled: false,
    };
    let (partner, _) = network.create_partner(&party.caller, request).await?;
    let _ = exchange.partner_id.set(partner.id.0);
    Ok(partner.id)
}
