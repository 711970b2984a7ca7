"""The hints that the demo prints for a second terminal."""

from bridge.demo.play import try_it


class TestDemoHints:
    def test_settings_can_be_pasted_into_a_shell(self) -> None:
        text = try_it({"MONGO_URI": "mongodb://127.0.0.1:1/?replicaSet=a&w=1"})
        assert "  export JOB_BRIDGE_MONGO_URI='mongodb://127.0.0.1:1/?replicaSet=a&w=1'" in text
        assert "job-bridge status" in text
