#!/bin/sh
# Makes every file of this folder anew, with openssl 3. All of it is THROW-AWAY: the keys are public.
set -eu
cd "$(dirname "$0")"
START=20250101000000Z
END=20450101000000Z
rm -f -- *.pem *.p12 *.p7m

key() { openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$1"; }
# `openssl x509` of OpenSSL 3.0 cannot make a certificate that has expired, `openssl ca` can.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$work/index.txt"
cat >"$work/ca.conf" <<CONFIG
[ca]
default_ca = example
[example]
database = $work/index.txt
new_certs_dir = $work
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
[any]
organizationName = optional
commonName = supplied
UID = optional
countryName = optional
CONFIG
sign() { # key, certificate, subject, extensions, first and last moment of its validity, then who signs
  key=$1 certificate=$2
  openssl req -new -key "$key" -subj "$3" -sha256 -out "$work/request.pem"
  printf '%s\n' "$4" 'subjectKeyIdentifier = hash' >"$work/extensions"
  from=$5 to=$6
  shift 6
  openssl ca -batch -notext -preserveDN -config "$work/ca.conf" -in "$work/request.pem" -out "$certificate" \
    -extfile "$work/extensions" -startdate "$from" -enddate "$to" "$@" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
}
self_signed() { sign "$@" "$START" "$END" -selfsign -keyfile "$1"; }
issued() { sign "$@" -cert ca.pem -keyfile ca.key.pem; }

# The authority of everything below.
key ca.key.pem
self_signed ca.key.pem ca.pem '/O=Firstboot THROW-AWAY/CN=Firstboot example CA' \
  'basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign'

# A server that is reached as localhost.
key tls.key.pem
issued tls.key.pem tls.pem '/O=Firstboot THROW-AWAY/CN=localhost' 'basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1, IP:::1' "$START" "$END"

# Certificates for MDM pushes: the topic is the subject's UID, and 1.2.840.113635.100.6.3.2 allows production pushes.
push() { # name, topic, then first and last moment of its validity
  name=$1 topic=$2
  shift 2
  key "$name.key.pem"
  issued "$name.key.pem" "$name.pem" "/UID=$topic/CN=APSP:${topic#com.apple.mgmt.External.}/C=US" \
    'basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
1.2.840.113635.100.6.3.1 = ASN1:NULL
1.2.840.113635.100.6.3.2 = ASN1:NULL' "$@"
}
push push com.apple.mgmt.External.11111111-1111-4111-8111-111111111111 "$START" "$END"
push push-other-topic com.apple.mgmt.External.22222222-2222-4222-8222-222222222222 "$START" "$END"
push push-expired com.apple.mgmt.External.11111111-1111-4111-8111-111111111111 \
  20200101000000Z 20210101000000Z
openssl pkcs12 -export -in push.pem -inkey push.key.pem -name 'Firstboot example push' -passout pass:firstboot \
  -out push.p12

# The pair that Apple encrypts a server token for, and such a token, as Apple's portal hands it out.
key token-pki.key.pem
self_signed token-pki.key.pem token-pki.pem '/CN=Firstboot example token PKI' \
  'basicConstraints = critical, CA:FALSE'
{
  printf 'Content-Type: text/plain;charset=UTF-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n'
  printf -- '-----BEGIN MESSAGE-----\n'
  printf '{"consumer_key":"CK_example","consumer_secret":"CS_example",'
  printf '"access_token":"AT_example","access_secret":"AS_example","access_token_expiry":"2045-01-01T00:00:00Z"}\n'
  printf -- '-----END MESSAGE-----\n'
} | openssl cms -encrypt -binary -des3 -outform SMIME -subject 'Firstboot example token' -out token.p7m token-pki.pem

chmod 644 -- *.pem *.p12 *.p7m
