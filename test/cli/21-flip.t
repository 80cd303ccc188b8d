#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Any one bit changed in a document or in a signature file that we made: never
# valid, exit 1 or 5, and a reason. Many bits in one call of ofs-verify, and
# some of these in a process each, as a user would check it.
. "$(dirname "$0")/../lib/tap.sh"

# one of so many bits, and how many of these in a process each
export every=8 alone=100
[ -n "${OFS_LONG:-}" ] && every=1 alone=1000000
echo "# seed $SEED"

sandbox_start
cd "$T" || exit 1

# flip.pl DIR WHAT DOC SIG SUFFIX: files in DIR for some of the bits of WHAT,
# which is doc or sig: BIT is the document and BIT.SUFFIX the signature, one of
# the two changed. 'control' is not changed. Without DOC the signature holds the
# document. DIR.picked lists the bits, after their whole number.
cat >flip.pl <<'PERL'
use strict;
use warnings;
use List::Util qw(shuffle);
my ($dir, $what, $doc, $sig, $suffix) = @ARGV;
my %path = (doc => $doc, sig => $sig);
my %end = (doc => '', sig => ".$suffix");
my $other = $what eq 'doc' ? 'sig' : 'doc';

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
for (grep { $path{$_} ne '' } keys %path) {
	put("$dir/control$end{$_}", get($path{$_}));
}
my $bytes = get($path{$what});
my $bits = 8 * length $bytes or die "$path{$what} is empty";
srand $ENV{SEED};
my @picked = (shuffle 0 .. $bits - 1)[0 .. $bits / $ENV{every} - 1];
put("$dir.picked", join "\n", $bits, @picked);
for my $bit (@picked) {
	my $changed = $bytes;
	vec($changed, $bit, 1) ^= 1;
	put("$dir/$bit$end{$what}", $changed);
	link "$dir/control$end{$other}", "$dir/$bit$end{$other}" or die $!
		if $path{$other} ne '';
}
PERL

# verdicts.pl DIR SUFFIX: reads what ofs-verify --json said of DIR; prints what
# is wrong with it, and the counts
cat >verdicts.pl <<'PERL'
use strict;
use warnings;
use JSON::PP;
my ($dir, $suffix) = @ARGV;
open my $f, '<', "$dir.picked" or die $!;
chomp(my ($bits, @picked) = <$f>);
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
$seen{$_} or print "wrong: bit $_: no verdict\n" for 'control', @picked;
print "wrong: the summary counts otherwise\n" if !$summary ||
	$summary->{valid} != 1 || $summary->{files} != @picked + 1;
print scalar(@picked), " of $bits bits (seed $ENV{SEED}): ",
	join(', ', map { "$count{$_} $_" } sort keys %count), "\n";
PERL

# one.pl DIR SUFFIX OFS-VERIFY-ARGS...: a process for each of some bits; prints
# what is wrong, and the count
cat >one.pl <<'PERL'
use strict;
use warnings;
my ($dir, $suffix, @args) = @ARGV;
open my $f, '<', "$dir.picked" or die $!;
chomp(my ($bits, @picked) = <$f>);
splice @picked, $ENV{alone} if @picked > $ENV{alone};
my %want = (invalid => 1, untrusted => 1, unreadable => 5);
for my $bit (@picked) {
	my $path = -e "$dir/$bit" ? "$dir/$bit" : "$dir/$bit.$suffix";
	open my $verify, '-|', 'ofs-verify', @args, $path or
		die "ofs-verify: $!";
	my $said = do { local $/; <$verify> } // '';
	close $verify;
	my $status = $?;
	my ($verdict, $reason) = $said =~ /^(\w+) +\Q$path\E\n {12}(\S.*)\n/;
	print "wrong: bit $bit: status $status: $said\n"
		if !defined $reason || !$want{$verdict} ||
		$status != $want{$verdict} << 8;
}
print scalar(@picked), " of $bits bits, a process each (seed $ENV{SEED})\n";
PERL

# flips NAME WHAT DOC SIG SUFFIX OFS-VERIFY-ARGS...
flips()
{
	local name=$1 dir suffix=$5 said

	dir=$(mktemp -d flip.XXXXXX) || exit 1
	must perl flip.pl "$dir" "${@:2:4}"
	shift 5
	run ofs-verify --json "$@" --recursive "$dir"
	[ "$rc" -eq 1 ] || [ "$rc" -eq 5 ]
	ok $? "$name: exit status 1 or 5 for all at once" "it is $rc: $err"
	said=$(perl verdicts.pl "$dir" "$suffix" <"$T/.out" 2>&1) &&
		! grep -q '^wrong' <<<"$said"
	ok $? "$name: $(tail -1 <<<"$said")" "$(head -20 <<<"$said")"
	said=$(perl one.pl "$dir" "$suffix" "$@" 2>&1) &&
		! grep -q '^wrong' <<<"$said"
	ok $? "$name: $(tail -1 <<<"$said")" "$(head -20 <<<"$said")"
	rm -rf "$dir"
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
	must ofs-token enroll "pkcs11:token=sandbox;object=$key" \
		--key-type $type --subject "/O=Acme/CN=$key" --self-signed \
		--cert-out "$key.pem"
	made "$key"
	flips "$type, CMS, signature" sig doc "$key.p7s" p7s --trust "$key.pem"
	flips "$type, CMS, document" doc doc "$key.p7s" p7s --trust "$key.pem"
	flips "$type, CMS attached" sig '' "$key.p7m" p7m --trust "$key.pem"
	flips "$type, raw, signature" sig doc "$key.sig" sig --signer "$key.pem"
	flips "$type, raw, document" doc doc "$key.sig" sig --signer "$key.pem"
done

# with an intermediate in the file
newkey()
{
	must openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "$@"
}
printf '%s\n' basicConstraints=critical,CA:TRUE keyUsage=keyCertSign >mid.ext
printf '%s\n' keyUsage=critical,digitalSignature >leaf.ext
issue()
{
	must openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" \
		-CAcreateserial -days 20 -extfile "$1.ext" -out "$1.pem"
}
newkey -x509 -subj /CN=Root -keyout root.key -out root.pem
newkey -subj /CN=Issuing -keyout mid.key -out mid.csr
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
