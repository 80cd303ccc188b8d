#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Any one bit changed in a document or in a signature file that we made: never
# valid, exit 1 or 5, and a reason. Every bit in one call of ofs-verify for each
# kind of file; a sample of them (with OFS_LONG all) in a process of its own,
# as a user would check it.
. "$(dirname "$0")/../lib/tap.sh"

sample=200
[ -n "${OFS_LONG:-}" ] && sample=all
export sample
echo "# seed $SEED"

sandbox_start
cd "$T" || exit 1

# flip.pl DIR WHAT DOC SIG SUFFIX: a pair of files for each bit of WHAT, the
# document or the signature, in DIR: BIT and BIT.SUFFIX. The pair 'control' is
# not changed. Without DOC the signature holds the document.
cat >flip.pl <<'PERL'
use strict;
use warnings;
my ($dir, $what, $doc, $sig, $suffix) = @ARGV;
sub get {
	open my $f, '<:raw', $_[0] or die "$_[0]: $!";
	local $/;
	return <$f>;
}
sub put {
	open my $f, '>:raw', $_[0] or die "$_[0]: $!";
	print $f $_[1];
	close $f or die "$_[0]: $!";
}
my %bytes = (sig => get($sig));
$bytes{doc} = get($doc) if $doc ne '';
mkdir $dir or die "$dir: $!";
sub pair {
	put("$dir/$_[0]", $bytes{doc}) if $doc ne '';
	put("$dir/$_[0].$suffix", $bytes{sig});
}
pair('control');
my $bits = 8 * length $bytes{$what};
for my $bit (0 .. $bits - 1) {
	vec($bytes{$what}, $bit, 1) ^= 1;
	pair($bit);
	vec($bytes{$what}, $bit, 1) ^= 1;
}
print "$bits\n";
PERL

# verdicts.pl BITS SUFFIX: reads what ofs-verify --json said; prints what is
# wrong with it, and the counts
cat >verdicts.pl <<'PERL'
use strict;
use warnings;
use JSON::PP;
my ($bits, $suffix) = @ARGV;
my (%seen, %count, $summary);
while (my $line = <STDIN>) {
	my $v = decode_json($line);
	if ($v->{type} eq 'summary') {
		$summary = $v;
		next;
	}
	my ($name) = $v->{path} =~ m{/(\d+|control)(?:\.$suffix)?$};
	if (!defined $name) {
		print "wrong: a path that is not ours: $line";
		next;
	}
	print "wrong: bit $name twice\n" if $seen{$name}++;
	if ($name eq 'control') {
		print "wrong: not changed: $line" if $v->{verdict} ne 'valid';
		next;
	}
	$count{$v->{verdict}}++;
	print "wrong: bit $name: $line"
		if $v->{verdict} !~ /^(?:invalid|untrusted|unreadable)$/ ||
		$v->{code} eq 'OFS_OK' || $v->{reason} !~ /[a-z]/;
}
$seen{$_} or print "wrong: bit $_: no verdict\n" for 'control', 0 .. $bits - 1;
print "wrong: the summary counts otherwise\n" if !$summary ||
	$summary->{valid} != 1 || $summary->{files} != $bits + 1;
print join(', ', map { "$count{$_} $_" } sort keys %count), "\n";
PERL

# one.pl DIR BITS SUFFIX OFS-VERIFY-ARGS...: a process for each of the sample;
# the last line is the count
cat >one.pl <<'PERL'
use strict;
use warnings;
my ($dir, $bits, $suffix, @args) = @ARGV;
srand $ENV{SEED};
my @bits = 0 .. $bits - 1;
if ($ENV{sample} ne 'all') {
	my %picked;
	while (keys %picked < $ENV{sample} && keys %picked < $bits) {
		$picked{int rand $bits} = 1;
	}
	@bits = sort { $a <=> $b } keys %picked;
}
my %want = (invalid => 1, untrusted => 1, unreadable => 5);
for my $bit (@bits) {
	my $path = -e "$dir/$bit" ? "$dir/$bit" : "$dir/$bit.$suffix";
	open my $f, '-|', 'ofs-verify', @args, $path or die "ofs-verify: $!";
	my $said = do { local $/; <$f> };
	close $f;
	my $status = $?;
	my ($verdict, $reason) =
		$said =~ /^(\w+) +\Q$path\E\n {12}([a-z].*)\n/ or
		print "wrong: bit $bit: no reason: $said\n";
	print "wrong: bit $bit: status $status: $said\n"
		if !defined $verdict || !$want{$verdict} ||
		$status != $want{$verdict} << 8;
}
print scalar(@bits), " of $bits\n";
PERL

# flips NAME WHAT DOC SIG SUFFIX OFS-VERIFY-ARGS...
flips()
{
	local name=$1 suffix=$5 bits said

	bits=$(perl flip.pl pairs "${@:2:4}") && [ "$bits" -gt 0 ] || {
		echo "Bail out! cannot flip $name"
		exit 1
	}
	shift 5
	run ofs-verify --json "$@" --recursive pairs
	[ "$rc" -eq 1 ] || [ "$rc" -eq 5 ]
	ok $? "$name: exit status 1 or 5 for all at once" "it is $rc: $err"
	said=$(perl verdicts.pl "$bits" "$suffix" <"$T/.out" 2>&1) &&
		! grep -q '^wrong' <<<"$said"
	ok $? "$name: $bits of $bits bits noticed: $(tail -1 <<<"$said")" \
		"$(grep -v '^[0-9]' <<<"$said" | head -5)"
	said=$(perl one.pl pairs "$bits" "$suffix" "$@" 2>&1) &&
		! grep -q '^wrong' <<<"$said"
	ok $? "$name: $(tail -1 <<<"$said") bits, each by itself (seed $SEED)" \
		"$(head -20 <<<"$said")"
	rm -rf pairs
}

cat >doc <<'EOT'
<CdtTrfTxInf><Amt><InstdAmt Ccy="EUR">1000.00</InstdAmt></Amt>
<Cdtr><Nm>Acme</Nm></Cdtr></CdtTrfTxInf>
EOT

# made KEY [SIGN-ARGS...]: KEY.p7s, KEY.p7m, KEY.sig
made()
{
	local key=$1 format

	shift
	for format in cms cms-attached raw; do
		must ofs-sign --key "pkcs11:token=sandbox;object=$key" \
			--format $format "$@" doc
	done
	for format in p7s p7m sig; do
		mv doc.$format "$key.$format" || exit 1
	done
}

for type in rsa:2048 ec:P-256; do
	key=${type#*:}
	must ofs-token enroll "pkcs11:token=sandbox;object=$key" --key-type $type \
		--subject "/O=Acme/CN=$key" --self-signed --cert-out "$key.pem"
	made $key
	flips "$type, CMS, signature" sig doc $key.p7s p7s --trust $key.pem
	flips "$type, CMS, document" doc doc $key.p7s p7s --trust $key.pem
	flips "$type, CMS attached" sig '' $key.p7m p7m --trust $key.pem
	flips "$type, raw, signature" sig doc $key.sig sig --signer $key.pem
	flips "$type, raw, document" doc doc $key.sig sig --signer $key.pem
done

# with an intermediate in the file
newkey='openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
printf '%s\n' basicConstraints=critical,CA:TRUE keyUsage=keyCertSign >mid.ext
printf '%s\n' keyUsage=critical,digitalSignature >leaf.ext
issue()
{
	must openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" \
		-CAcreateserial -days 20 -extfile "$1.ext" -out "$1.pem"
}
must $newkey -x509 -subj /CN=Root -keyout root.key -out root.pem
must $newkey -subj /CN=Issuing -keyout mid.key -out mid.csr
must ofs-token enroll 'pkcs11:token=sandbox;object=leaf' --key-type ec:P-256 \
	--subject /CN=leaf --csr leaf.csr
issue mid root
issue leaf mid
cat leaf.pem mid.pem >chain
made leaf --cert chain
for anchor in root mid leaf; do
	flips "with an intermediate, $anchor trusted" sig doc leaf.p7s p7s \
		--trust $anchor.pem
done
done_testing
