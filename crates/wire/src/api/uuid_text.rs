//! UUIDs in JSON, in lower case with hyphens, for use as `#[serde(with = …)]`: the workspace builds
//! the UUID library without its own serde support.

use serde::{Deserialize as _, Deserializer, Serializer, de};
use uuid::Uuid;

pub(crate) fn serialize<S: Serializer>(id: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
    read(&String::deserialize(deserializer)?)
}

fn read<E: de::Error>(text: &str) -> Result<Uuid, E> {
    Uuid::try_parse(text).map_err(|_| E::custom("not a UUID"))
}

/// The same for members that may be left out.
pub(crate) mod optional {
    use super::{Deserializer, Serializer, Uuid, read};
    use serde::Deserialize as _;

    pub(crate) fn serialize<S: Serializer>(
        id: &Option<Uuid>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match id {
            Some(id) => serializer.collect_str(id),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Uuid>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| read(&text)).transpose()
    }
}

/// The same for objects whose member names are UUIDs.
pub(crate) mod keys {
    use std::collections::BTreeMap;

    use super::{Deserializer, Serializer, Uuid, read};
    use serde::{Deserialize, Serialize};

    pub(crate) fn serialize<S: Serializer, T: Serialize>(
        map: &BTreeMap<Uuid, T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(map.iter().map(|(id, value)| (id.to_string(), value)))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Uuid, T>, D::Error> {
        let map = BTreeMap::<String, T>::deserialize(deserializer)?;
        map.into_iter()
            .map(|(text, value)| Ok((read(&text)?, value)))
            .collect()
    }
}
