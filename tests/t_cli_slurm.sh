#!/bin/sh
# t_cli_slurm.sh - jobs/train.slurm between stand-ins for Slurm's and MPI's commands: a stop with a checkpoint goes back into the queue, whether the run's
# directory is named on the command line or in the configuration; one without progress, or a failure, does not.
. "$srcdir/tests/lib.sh"
make_scratch
mkdir "$scratch/bin"
cat > "$scratch/bin/scontrol" << 'END'
#!/bin/sh
echo "scontrol $*"
END
cat > "$scratch/bin/mpirun" << 'END'
#!/bin/sh
while [ "$1" != "$HALFSPEC" ]; do shift; done
exec "$@"
END
chmod +x "$scratch/bin/scontrol" "$scratch/bin/mpirun"
cat > "$scratch/a.conf" << END
net = C4k3 R SP4 F4
data = synthetic:96,8,8,1,4
device = ref
batch = 32
epochs = 100000
max-hours = 0.0002
run = $scratch/some where
END
export LAUNCHER=mpirun SLURM_JOB_ID=4711 SLURM_NTASKS=1 HALFSPEC

# job WORDS...: the script's code and output
job() {
    PATH=$scratch/bin:$PATH bash "$srcdir/jobs/train.slurm" "$scratch/a.conf" "$@" > "$scratch/out" 2>&1
    code=$?
    [ $code = 0 ] || sed 's/^/# /' "$scratch/out"
}

command -v bash > /dev/null || skip_all "no bash"
job
check "a run of the configuration is requeued" grep -q '^scontrol requeue 4711' "$scratch/out"
check "its checkpoint was seen" [ -s "$scratch/some where/ckpt/MANIFEST" ]
job
check "and again" grep -q '^scontrol requeue 4711' "$scratch/out"
job run="$scratch/word"
check "one of the command line too" grep -q '^scontrol requeue 4711' "$scratch/out"
job lr=1
check "a failure is not requeued and keeps its code (got $code)" [ $code = 2 ]
export SLURM_RESTART_COUNT=50
job
check "nor is one that was restarted too often" grep -q 'not submitted again (MAX_RESTARTS=50)' "$scratch/out"
done_testing
