use std::{net::IpAddr, str::FromStr};

/// The addresses of a network, or one address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    /// Tells whether an address belongs to the network. An IPv4 address in an IPv6 socket (RFC 4291 §2.5.5.2) is an IPv4 address.
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => {
                bits(self.address) == first_bits(address.to_canonical(), self.prefix)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Form)?;
        if address.to_canonical() != address {
            return Err(NetworkError::Mapped);
        }
        let length = length(address);
        let prefix = match prefix {
            None => length,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| NetworkError::Form)?
            }
            Some(_) => return Err(NetworkError::Form),
        };

        if prefix == 0 {
            return Err(NetworkError::Everything);
        }
        if length < prefix {
            return Err(NetworkError::Form);
        }
        if bits(address) != first_bits(address, prefix) {
            return Err(NetworkError::HostBits);
        }
        Ok(Self { address, prefix })
    }
}

/// Why a text is no network that may be trusted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum NetworkError {
    #[error("every address belongs to it, so it proves nothing: write the gateway's own network")]
    Everything,
    #[error("expected an address or a network, such as \"10.1.2.3\" or \"10.1.2.0/24\"")]
    Form,
    #[error(
        "the address has bits behind the prefix: write the first address of the network, or the address alone"
    )]
    HostBits,
    #[error("an IPv4 address inside of an IPv6 address: write the IPv4 address")]
    Mapped,
}

const fn length(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// Returns the bits of an address, aligned to the left.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn first_bits(address: IpAddr, prefix: u32) -> u128 {
    let behind = u128::MAX.checked_shr(prefix).unwrap_or(0);
    bits(address) & !behind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_outside_of_the_network_is_not_contained() {
        for (network, inside, outside) in [
            (
                "10.1.2.3",
                vec!["10.1.2.3", "::ffff:10.1.2.3"],
                vec!["10.1.2.2", "10.1.2.4", "::1"],
            ),
            (
                "10.1.2.0/23",
                vec!["10.1.2.0", "10.1.3.255"],
                vec!["10.1.1.255", "10.1.4.0", "::a01:200"],
            ),
            (
                "128.0.0.0/1",
                vec!["128.0.0.0", "255.255.255.255"],
                vec!["127.255.255.255"],
            ),
            ("::1", vec!["::1"], vec!["::2", "0.0.0.1", "127.0.0.1"]),
            (
                "fd00:1::/33",
                vec!["fd00:1::", "fd00:1:7fff:ffff::1"],
                vec!["fd00:1:8000::", "fd00:0:ffff::"],
            ),
        ] {
            let network: Network = network.parse().unwrap();
            for address in inside {
                assert!(
                    network.contains(address.parse().unwrap()),
                    "{network:?} {address}"
                );
            }
            for address in outside {
                assert!(
                    !network.contains(address.parse().unwrap()),
                    "{network:?} {address}"
                );
            }
        }
    }

    #[test]
    fn a_network_of_everything_or_with_host_bits_is_refused() {
        for (text, error) in [
            ("0.0.0.0/0", NetworkError::Everything),
            ("::/0", NetworkError::Everything),
            ("10.1.2.3/24", NetworkError::HostBits),
            ("fd00::1/64", NetworkError::HostBits),
            ("::ffff:10.1.2.3", NetworkError::Mapped),
            ("10.1.2.0/33", NetworkError::Form),
            ("::1/129", NetworkError::Form),
            ("10.1.2.0/", NetworkError::Form),
            ("10.1.2.0/+8", NetworkError::Form),
            ("10.1.2", NetworkError::Form),
            ("gateway", NetworkError::Form),
            ("", NetworkError::Form),
            (" 10.1.2.3", NetworkError::Form),
        ] {
            assert_eq!(text.parse::<Network>(), Err(error), "{text}");
        }
    }
}
