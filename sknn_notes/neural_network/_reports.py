"""What fitted networks tell of themselves: how training went, what they consist of."""

from collections.abc import Sequence
from math import nan
from typing import Any

from sknn_notes.neural_network._summary import Summary


class ReportsMixin:
    """The history and the summary of the networks of an estimator."""

    def _check_is_fitted(self) -> None:
        raise NotImplementedError

    @property
    def _members(self) -> list[Any]:
        """Fitted networks; the estimator itself if ``n_networks=1``."""
        return vars(self).get("networks_") or [self]

    @property
    def history_(self) -> list[dict[str, float]]:
        """A record for every epoch; ``pandas.DataFrame(model.history_)`` shows it.

        It holds what ``loss_curve_``, ``validation_loss_curve_`` and
        ``validation_scores_`` hold, of all networks.

        Returns
        -------
        history : list of dict
            One for every epoch of every network, over all calls of ``fit`` with
            ``warm_start`` and of ``partial_fit``. Its keys are ``"network"``, the index
            in ``networks_``, 0 where there is one network; ``"epoch"``, counted from 1;
            ``"loss"``, the training loss; ``"validation_loss"`` and
            ``"validation_score"``, NaN in an epoch without validation.
        """
        self._check_is_fitted()
        return [
            {
                "network": number,
                "epoch": epoch,
                "loss": loss,
                "validation_loss": validation_loss,
                "validation_score": score,
            }
            for number, network in enumerate(self._members)
            for epoch, (loss, validation_loss, score) in enumerate(
                zip(
                    network.loss_curve_,
                    _of_last(network.loss_curve_, network.validation_loss_curve_),
                    _of_last(network.loss_curve_, network.validation_scores_),
                    strict=True,
                ),
                start=1,
            )
        ]

    def summary(self) -> Summary:
        """Summarize the layers of the fitted network, its parameters and its memory.

        Returns
        -------
        summary : Summary
            It prints as a table, in notebooks as one of HTML. Its attributes are:

            - ``layers``: list of dict, one for every layer in order, with the keys
              ``"layer"``, ``"output_shape"``, ``"arrays"`` and ``"n_parameters"``;
              ``pandas.DataFrame`` takes it. With several networks it is of the first;
            - ``n_networks``, and of all of them together: ``n_parameters``, and
              ``n_trained``, those that training changes by gradients. The others are
              running averages of batch norm and constants of an embedding;
            - ``nbytes``: bytes of these parameters;
            - ``solver_nbytes``: bytes of what the solver keeps, which ``partial_fit``
              and ``warm_start`` go on from.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        """
        self._check_is_fitted()
        return Summary.of(self._members)


def _of_last(epochs: Sequence[float], curve: Sequence[float] | None) -> list[float]:
    """Return a curve of the last epochs with a value for all, NaN for the others."""
    known = list(curve or ())
    return [nan] * (len(epochs) - len(known)) + known
