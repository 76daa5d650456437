# Sourced by the wrappers that have something to clean up after their command.

# Runs a command and returns its exit code.  It runs in the background, since a
# shell acts on a signal only once its foreground child has ended: so SIGTERM
# and SIGHUP sent to the wrapper alone end the command.  Ctrl-C reaches both.
run_child()
{
	exec 3<&0
	env --default-signal=INT,QUIT "$@" <&3 3<&- &
	trap "kill $!" TERM HUP
	trap : INT
	while
		status=0
		wait $! || status=$?
		kill -0 $! 2>/dev/null
	do :; done
	return $status
}
