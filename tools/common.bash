# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What tools/check and tools/quickstart share. To be sourced; needs $root, the source tree.

# The system's programs come first: another python3 or meson in PATH lacks the packages below.
export PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH

say() {
	printf '== %s\n' "$*"
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# The packages of tools/packages.txt for the given uses that are not installed.
missing_packages() {
	local name use uses=" $* "

	while read -r name use; do
		case $name in
		'' | '#'*) continue ;;
		esac
		case $uses in
		*" $use "*) ;;
		*) continue ;;
		esac
		if [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" != installed ]; then
			printf '%s\n' "$name"
		fi
	done <"$root/tools/packages.txt"
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo -- "$@"
	fi
}

# Install what is missing for the given uses; nothing is asked of the network otherwise.
install_packages() {
	local missing
	local -a apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600)

	command -v dpkg-query >/dev/null || die "this is not Debian; see tools/packages.txt for what is needed"
	mapfile -t missing < <(missing_packages "$@")
	if [ "${#missing[@]}" -eq 0 ]; then
		return 0
	fi
	if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
		die "not installed: ${missing[*]}; install them as root, or install sudo"
	fi
	say "installing ${missing[*]}"
	as_root "${apt[@]}" update
	as_root "${apt[@]}" install --no-install-recommends "${missing[@]}"
}
